#!lua flags=allow-oom
-- Grant one memory to personas, or revoke what was granted. Revoking must work without memory, too.
-- KEYS: grants, record, granting, nudge, clock
-- ARGV: owner, id, nudge_ms, above (the highest version that the caller has seen), granted prefix, lent prefix,
--       generation prefix, 1 to grant or 0 to revoke, then the grantees ('*': all, to be revoked),
--       until (us: a change that comes later was given up by its caller and must not take effect)
-- Returns: 'done', 'gone' (it is marked as forgotten: nothing is granted) or 'stale' (the caller has not seen the
-- grants that it is about to change: it may have been given up since), nudge (0 or 1), version, the time (us)
local grants, record, granting, nudge, clock = unpack(KEYS)
local owner, id, nudge_ms, above, granted, lent, generation, grant = unpack(ARGV, 1, 8)
local member, till = owner .. ':' .. id, tonumber(ARGV[#ARGV])
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = string.format('%.0f', now_us)
if now_us > till then return redis.error_reply('LATE ' .. now) end
if grant == '1' and redis.call('HEXISTS', record, 'g') == 1 then return {'gone', 0, '0', now} end

local named, known, marks = {}, {}, redis.call('HGETALL', grants)
for i = 9, #ARGV - 1 do named[#named + 1] = ARGV[i] end
for i = 1, #marks, 2 do
  known[marks[i]] = tonumber(marks[i + 1])
  if ARGV[9] == '*' and marks[i] ~= '*' then named[#named + 1] = marks[i] end
end
for _, grantee in ipairs(named) do
  local standing = math.max(math.abs(known[grantee] or 0), math.abs(known['*'] or 0))
  if standing > tonumber(above) then return {'stale', 0, string.format('%.0f', standing), now} end
end

local highest = tonumber(redis.call('GET', clock)) or 0
local version = string.format('%.0f', math.max(now_us, highest + 1, above + 1))
redis.call('SET', clock, version)
for _, grantee in ipairs(named) do
  if grant == '1' then
    redis.call('HSET', grants, grantee, version)
    redis.call('ZADD', granted .. grantee, version, member)
    redis.call('ZADD', lent .. grantee, 0, id .. ' ' .. owner)
  else
    redis.call('HSET', grants, grantee, '-' .. version)
    redis.call('ZREM', granted .. grantee, member)
    redis.call('ZREM', lent .. grantee, id .. ' ' .. owner)
  end
  redis.call('INCR', generation .. grantee)
end
redis.call('PERSIST', grants)
redis.call('ZADD', granting, math.floor(now_us / 1000), member)
local told = redis.call('SET', nudge, '1', 'NX', 'PX', nudge_ms)
return {'done', told and 1 or 0, version, now}
