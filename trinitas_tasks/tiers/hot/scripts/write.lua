#!lua
-- Keep one memory with its outbox entry.
-- KEYS: record, outbox, graves, pending, generation, nudge, dedup
-- ARGV: member, id, body, dedup_ms (0: off), nudge_ms, outbox_limit, record prefix of the persona
-- Returns: id, fresh (0 or 1), nudge (0 or 1)
local record, outbox, graves, pending, generation, nudge, dedup = unpack(KEYS)
local member, id, body, dedup_ms, nudge_ms, limit, prefix = unpack(ARGV)

if dedup_ms ~= '0' then
  local known = redis.call('GET', dedup)
  if known and redis.call('HEXISTS', prefix .. known, 'g') == 0 then
    return {known, 0, 0}
  end
end
local old = redis.call('HMGET', record, 'v', 'b')
if old[2] == body then  -- the same call again
  return {id, 0, 0}
end
if redis.call('ZCARD', outbox) >= tonumber(limit) then
  return redis.error_reply('OVERLOADED ' .. limit)
end

local clock = redis.call('TIME')
local now_us = clock[1] * 1000000 + clock[2]
local now_ms = math.floor(now_us / 1000)
-- a version never goes back, even where the clock does
local version = math.max(now_us, (tonumber(old[1]) or 0) + 1)
redis.call('DEL', record)
redis.call('HSET', record, 'b', body, 'v', string.format('%.0f', version))
redis.call('ZADD', outbox, now_ms, member)
redis.call('ZADD', pending, now_ms, id)
redis.call('ZREM', graves, member)
redis.call('INCR', generation)
if dedup_ms ~= '0' then
  redis.call('SET', dedup, id, 'PX', dedup_ms)
end
if redis.call('SET', nudge, '1', 'NX', 'PX', nudge_ms) then
  return {id, 1, 1}
end
return {id, 1, 0}
