#!lua flags=allow-oom
-- Make one memory unreadable and leave a grave for the tiers below.
-- KEYS: record, outbox, graves, pending, generation, nudge
-- ARGV: member, id, nudge_ms
-- Returns: nudge (0 or 1)
local record, outbox, graves, pending, generation, nudge = unpack(KEYS)
local clock = redis.call('TIME')
local now_us = clock[1] * 1000000 + clock[2]
local version = math.max(now_us, (tonumber(redis.call('HGET', record, 'v')) or 0) + 1)
redis.call('DEL', record)
redis.call('HSET', record, 'g', '1', 'v', string.format('%.0f', version))
redis.call('ZREM', outbox, ARGV[1])
redis.call('ZREM', pending, ARGV[2])
redis.call('ZADD', graves, math.floor(now_us / 1000), ARGV[1])
redis.call('INCR', generation)
if redis.call('SET', nudge, '1', 'NX', 'PX', ARGV[3]) then return 1 end
return 0
