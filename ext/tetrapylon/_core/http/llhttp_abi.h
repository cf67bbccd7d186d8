/* llhttp's public ABI, as much of it as parse.pyx relies on. The library itself is the one inside httptools, found at
   run time; the self-test in parse.pyx holds these declarations against it before they are used. */
#ifndef TETRAPYLON_LLHTTP_ABI_H
#define TETRAPYLON_LLHTTP_ABI_H

#include <stddef.h>
#include <stdint.h>

typedef struct tp_llhttp {
  int32_t index_;
  void *span_pos0_;
  void *span_cb0_;
  int32_t error;
  const char *reason;
  const char *error_pos;
  void *data;
  char rest[160]; /* llhttp 9.4 needs 48; the slack is for its successors */
} tp_llhttp;

typedef int (*tp_data_cb)(tp_llhttp *, const char *, size_t);

/* Positions in llhttp_settings_t, an array of callbacks. */
enum {
  TP_ON_URL = 2,
  TP_ON_STATUS = 3,
  TP_ON_METHOD = 4,
  TP_ON_VERSION = 5,
  TP_ON_HEADER_FIELD = 6,
  TP_ON_HEADER_VALUE = 7,
  TP_ON_HEADERS_COMPLETE = 10,
  TP_ON_BODY = 11,
  TP_ON_MESSAGE_COMPLETE = 12,
  TP_SETTINGS = 64
};

/* The callbacks without data take one argument; extra ones are ignored by every calling convention that is supported. */
typedef struct tp_settings {
  tp_data_cb callbacks[TP_SETTINGS];
} tp_settings;

enum { TP_REQUEST = 1, TP_RESPONSE = 2 };
enum { TP_OK = 0, TP_PAUSED = 21, TP_PAUSED_UPGRADE = 22 };

#endif
