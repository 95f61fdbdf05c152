-- Keep copies of archived records where nothing stands in their place and there is room. Copies need no durability;
-- a server out of memory keeps none.
-- KEYS: the records
-- ARGV: space (the namespace and a colon), limit (bytes of all copies), 1 if somebody asked for them,
--       then for each: persona, id, body, version, access count, last access in us, seconds
redis.set_repl(redis.REPL_NONE)
local space, limit, asked = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now_ms, now = math.floor(now_us / 1000), string.format('%.0f', now_us)
-- include _books
-- include _worth
-- include _room
usual = redis.REPL_NONE
-- one probe of the memory: what it allows is the same for the whole script
if type(redis.pcall('HSET', copies, 'refilled', string.format('%.0f', now_ms))) ~= 'number' then return end

-- reads that are not settled yet count, too
local function uses(member, count, last)
  local reads = tonumber(count) + (tonumber(redis.call('ZSCORE', space .. 'uses', member)) or 0)
  local used = redis.call('ZSCORE', space .. 'used', member)
  return reads, used and tonumber(used) > tonumber(last) and string.format('%.0f', tonumber(used)) or last
end

-- a copy that is warmed lasts as long as one that is made now
local function prolonged(record, member, ttl_ms)
  local f = redis.call('HMGET', record, 'x', 's')
  local ends_ms = now_ms + ttl_ms
  if f[1] and f[2] and tonumber(f[1]) < ends_ms then
    redis.call('HSET', record, 'x', string.format('%.0f', ends_ms))
    redis.call('PEXPIRE', record, string.format('%.0f', ttl_ms))
    redis.call('ZADD', space .. 'ends', 'XX', string.format('%.0f', ends_ms), member)
  end
end

audited(64)
for i = 1, #KEYS do
  local persona, id, body, version, count, last, seconds = unpack(ARGV, i * 7 - 3, i * 7 + 3)
  local member = persona .. ':' .. id
  if redis.call('HEXISTS', KEYS[i], 'v') == 0 then
    struck(member)  -- its key may have gone before its time
    redis.call('ZREM', space .. 'leaving', member)
    local size, ttl_ms = size_of(member, #body), seconds * 1000
    local reads, used = uses(member, count, last)
    local wanted = reads + (asked and 1 or 0)  -- it is read next
    if has_room(size, wanted, asked) then
      redis.call('HSET', KEYS[i], 'b', body, 'v', version, 'c', string.format('%.0f', reads), 'a', used,
        'x', string.format('%.0f', now_ms + ttl_ms), 's', string.format('%.0f', ttl_ms))
      if asked then redis.call('HSET', KEYS[i], 'q', '1') end
      redis.call('PEXPIRE', KEYS[i], string.format('%.0f', ttl_ms))
      entered(member, size, now_ms + ttl_ms, wanted, false)
    elseif asked then  -- nobody will find it here, so it is counted now
      redis.call('ZINCRBY', space .. 'uses', 1, member)
      redis.call('ZADD', space .. 'used', now, member)
      redis.call('HINCRBY', space .. 'reads', persona .. ':read', 1)
      redis.call('HINCRBY', space .. 'reads', persona .. ':fetched', 1)
    end
  elseif not asked then
    prolonged(KEYS[i], member, seconds * 1000)
  end
end
