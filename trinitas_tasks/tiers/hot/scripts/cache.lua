#!lua
-- Keep what can be computed again: no durability.
-- KEYS: key
-- ARGV: value, seconds
redis.set_repl(redis.REPL_NONE)
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
