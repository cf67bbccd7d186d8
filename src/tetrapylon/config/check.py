def check(config, report): pass
