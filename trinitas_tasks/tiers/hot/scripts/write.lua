#!lua
-- Keep one memory with its outbox entry.
-- KEYS: record, outbox, graves, pending, generation, nudge, clock, grants, granting, dedup
-- ARGV: member, id, body, dedup_ms (0: off), nudge_ms, outbox_limit, record prefix of the persona,
--       above (the highest version that the caller has seen), version of a replayed write (0: none),
--       space (the namespace and a colon), the version that it replaces ('': whatever stands), the generation of
--       the persona with which it does so ('': any), '1' if the caller tells the workers where it should,
--       its place among the persona's times, access count and last access (us) of what does not stand here any more,
--       until (us: a write that comes later was given up by its caller and must not take effect; 0: any time)
-- Returns: id, fresh (0 or 1), nudge (0 or 1), the version that stands ('0': none here; of one that would have replaced
-- another version: '0', too), the time (us)
local record, outbox, graves, pending, generation, nudge, clock, grants, granting, dedup = unpack(KEYS)
local member, id, body, dedup_ms, nudge_ms, limit, prefix = unpack(ARGV)
local above, replayed, space, till = tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10], tonumber(ARGV[17])
local replaced, since, tells = ARGV[11] ~= '' and ARGV[11], ARGV[12], ARGV[13] == '1'
local place, count, last = ARGV[14], ARGV[15], ARGV[16]
local times = space .. 'times:' .. string.match(member, '^[^:]+')
-- include _books
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now_ms = math.floor(now_us / 1000)
local now = string.format('%.0f', now_us)
if till > 0 and now_us > till then
  return redis.error_reply('LATE ' .. now)
end

if dedup_ms ~= '0' then
  local known, version = string.match(redis.call('GET', dedup) or '', '^(%S+) (%d+)$')
  local first = known and redis.call('HMGET', prefix .. known, 'v', 'g')
  if first and not first[2] and (first[1] or version) == version then  -- else it says something else by now
    return {known, 0, 0, first[1] or '0', now}
  end
end
local old = redis.call('HMGET', record, 'v', 'b', 'g', 'x', 'c', 'a', 't')
local standing = tonumber(old[1]) or 0
local over = old[4] and tonumber(old[4]) <= now_ms  -- past its time: nothing stands
local stood = old[1] and not over
if replaced and stood and (old[3] or old[1] ~= replaced) then
  return {id, 0, 0, '0', now}
end
-- another version may have been written, archived and evicted since the caller asked the archive
if replaced and since ~= '' and since ~= (redis.call('GET', generation) or '0') then
  return {id, 0, 0, '0', now}
end
local repeated = replayed == 0 and old[2] == body  -- the same call again
if repeated or (replayed > 0 and replayed <= standing) then
  return {id, 0, 0, old[1], now}
end
if redis.call('ZCARD', outbox) >= tonumber(limit) then
  return redis.error_reply('OVERLOADED ' .. limit)
end

-- a version never goes back, even where the server's clock does; a replayed write brings its own
local highest = tonumber(redis.call('GET', clock)) or 0
local version = replayed > 0 and replayed or math.max(now_us, highest + 1, standing + 1, above + 1)
local stands = string.format('%.0f', version)
redis.call('SET', clock, string.format('%.0f', math.max(highest, version)))
redis.call('INCR', space .. 'written')
struck(member)
if old[4] then redis.call('ZREM', space .. 'leaving', member) end
redis.call('DEL', record)
redis.call('HSET', record, 'b', body, 'v', stands, 't', place)
if replaced then  -- it is the same memory: its reads, with those that are not settled yet
  if stood then
    count, last = old[5], old[6]
  else
    local used = redis.call('ZSCORE', space .. 'used', member)
    count = string.format('%.0f', count + (tonumber(redis.call('ZSCORE', space .. 'uses', member)) or 0))
    last = used and tonumber(used) > tonumber(last) and string.format('%.0f', tonumber(used)) or last
  end
  if count and last then redis.call('HSET', record, 'c', count, 'a', last) end
end
redis.call('ZADD', outbox, now_ms, member)
redis.call('ZADD', pending, now_ms, id)
if old[7] then redis.call('ZREM', times, old[7] .. id) end
redis.call('ZADD', times, 0, place .. id)
redis.call('ZREM', graves, member)
redis.call('INCR', generation)
if old[3] then  -- its mark goes, which ended also those grants that only the archive knows
  local ends = math.max(standing, math.abs(tonumber(redis.call('HGET', grants, '*')) or 0))
  redis.call('HSET', grants, '*', string.format('-%.0f', ends))
  redis.call('PERSIST', grants)
  redis.call('ZADD', granting, now_ms, member)
end
local marks = redis.call('HGETALL', grants)
for i = 1, #marks, 2 do
  if tonumber(marks[i + 1]) > 0 then redis.call('INCR', space .. 'gen:' .. marks[i]) end
end
if dedup_ms ~= '0' then
  redis.call('SET', dedup, id .. ' ' .. stands, 'PX', dedup_ms)
end
if tells and redis.call('SET', nudge, '1', 'NX', 'PX', nudge_ms) then
  return {id, 1, 1, stands, now}
end
return {id, 1, 0, stands, now}
