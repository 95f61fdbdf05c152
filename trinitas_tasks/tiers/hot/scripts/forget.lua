#!lua flags=allow-oom
-- Make one memory unreadable, end its grants and leave a grave for the tiers below.
-- KEYS: record, outbox, graves, pending, generation, nudge, clock, grants, granting
-- ARGV: member, id, nudge_ms, above (the highest version that the caller has seen),
--       version of a replayed forget (0: none), owner, space (the namespace and a colon),
--       until (us: a forget that comes later was given up by its caller and must not take effect; 0: any time)
-- Returns: nudge (0 or 1), the version that stands, the time (us)
local record, outbox, graves, pending, generation, nudge, clock, grants, granting = unpack(KEYS)
local above, replayed, till = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[8])
local owner, space = ARGV[6], ARGV[7]
local granted, lent, generations = space .. 'granted:', space .. 'lent:', space .. 'gen:'
-- include _books
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = string.format('%.0f', now_us)
if till > 0 and now_us > till then
  return redis.error_reply('LATE ' .. now)
end
local f = redis.call('HMGET', record, 'v', 't')
local old, place = f[1], f[2]
local standing = tonumber(old) or 0
if replayed > 0 and replayed <= standing then
  return {0, old, now}
end

local highest = tonumber(redis.call('GET', clock)) or 0
local version = replayed > 0 and replayed or math.max(now_us, highest + 1, standing + 1, above + 1)
local stands = string.format('%.0f', version)
local ended = false
local ends = math.max(version, highest + 1)  -- a replayed forget also ends what was granted since
local marks = redis.call('HGETALL', grants)
for i = 1, #marks, 2 do
  if tonumber(marks[i + 1]) > 0 then
    ended = true
    redis.call('HSET', grants, marks[i], string.format('-%.0f', ends))
    redis.call('ZREM', granted .. marks[i], ARGV[1])
    redis.call('ZREM', lent .. marks[i], ARGV[2] .. ' ' .. owner)
    redis.call('INCR', generations .. marks[i])
  end
end
if ended then redis.call('ZADD', granting, math.floor(now_us / 1000), ARGV[1]) end
redis.call('SET', clock, string.format('%.0f', math.max(highest, ended and ends or version)))
struck(ARGV[1])
redis.call('ZREM', space .. 'leaving', ARGV[1])
redis.call('ZREM', space .. 'uses', ARGV[1])
redis.call('ZREM', space .. 'used', ARGV[1])
-- what was noted of it must not come after; see noted
if redis.call('EXISTS', space .. 'trails', space .. 'signals', space .. 'batch') > 0 then
  redis.call('ZADD', space .. 'forgot', now, ARGV[1])
  redis.call('ZREMRANGEBYRANK', space .. 'forgot', 0, -100001)
end
redis.call('DEL', record)
redis.call('HSET', record, 'g', '1', 'v', stands)
redis.call('ZREM', outbox, ARGV[1])
redis.call('ZREM', pending, ARGV[2])
if place then redis.call('ZREM', space .. 'times:' .. owner, place .. ARGV[2]) end
redis.call('ZADD', graves, math.floor(now_us / 1000), ARGV[1])
redis.call('INCR', generation)
if redis.call('SET', nudge, '1', 'NX', 'PX', ARGV[3]) then
  return {1, stands, now}
end
return {0, stands, now}
