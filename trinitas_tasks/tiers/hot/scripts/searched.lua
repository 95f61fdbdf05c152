#!lua flags=allow-oom
-- Count a search, and keep the slowest of each hour for a day.
-- KEYS: searches
-- ARGV: persona, milliseconds, hits, text, space (the namespace and a colon), how many to keep
redis.set_repl(redis.REPL_NONE)
local persona, millis, hits, text, space, most = unpack(ARGV)
local time = redis.call('TIME')
redis.call('HINCRBY', KEYS[1], persona .. ':asked', 1)
if hits == '0' then redis.call('HINCRBY', KEYS[1], persona .. ':empty', 1) end
redis.call('HINCRBYFLOAT', KEYS[1], persona .. ':ms', millis)
local slow = space .. 'slow:' .. persona .. ':' .. math.floor(time[1] / 3600)
redis.call('ZADD', slow, millis, string.format('%.0f ', time[1] * 1000000 + time[2]) .. text)
redis.call('ZREMRANGEBYRANK', slow, 0, -1 - most)
redis.call('EXPIRE', slow, 90000)
