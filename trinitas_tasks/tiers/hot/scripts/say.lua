#!lua
-- Keep what is said of memories until it is settled. Of forgotten ones nothing is kept.
-- KEYS: signals, clock, batch of signals
-- ARGV: space (the namespace and a colon), limit, above (the highest version that the caller has seen),
--       then for each: member, by, what is said, when (us),
--       until (us: what comes later was given up by its caller and must not take effect)
-- Returns: the time (us)
local space, limit, above, till = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[#ARGV])
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = string.format('%.0f', now_us)
if now_us > till then return redis.error_reply('LATE ' .. now) end
local waiting = redis.call('LLEN', KEYS[1]) + redis.call('LLEN', KEYS[3])
if waiting + (#ARGV - 4) / 4 > limit then return redis.error_reply('SIGNALS ' .. limit) end
if (tonumber(redis.call('GET', KEYS[2])) or 0) < above then redis.call('SET', KEYS[2], ARGV[3]) end
for i = 4, #ARGV - 1, 4 do
  local member, by, said, at = unpack(ARGV, i, i + 3)
  if redis.call('HEXISTS', space .. 'rec:' .. member, 'g') == 0 then
    redis.call('RPUSH', KEYS[1], table.concat({now, member, by, said, at}, ' '))
  end
end
return {now}
