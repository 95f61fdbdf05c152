-- Keep what can be computed again: no durability; a server out of memory keeps none.
-- KEYS: key
-- ARGV: value, seconds
redis.set_repl(redis.REPL_NONE)
redis.pcall('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
