#!lua flags=allow-oom
-- Keep a note for a while, or take it away.
-- KEYS: notes
-- ARGV: name, milliseconds (0: take it away), text
if ARGV[2] == '0' then return redis.call('HDEL', KEYS[1], ARGV[1]) end
local time = redis.call('TIME')
local ends_ms = math.floor((time[1] * 1000000 + time[2]) / 1000) + ARGV[2]
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f:', ends_ms) .. ARGV[3])
