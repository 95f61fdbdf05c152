#!lua flags=allow-oom
-- Be the only one for a while.
-- KEYS: lease
-- ARGV: token, milliseconds
-- Returns: 1, or 0 where somebody is at it
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0
