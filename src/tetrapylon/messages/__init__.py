"""What looks into messages: codings, rewritten JSON, what is agreed of requests and answers."""
