#!lua flags=allow-oom
-- Read records as one persona may, and count the access if asked to.
-- KEYS: the records
-- ARGV: '1' to count, the persona that reads, space (the namespace and a colon), then the members (persona:id)
-- Returns: for each record false (not here), 'g' (forgotten), 'n' (of another, and not granted: here or not) or
-- {body, version, access count, last access in us}
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = string.format('%.0f', now_us)
local found = {}
local touch, reader, space, own = ARGV[1] == '1', ARGV[2], ARGV[3], ARGV[2] .. ':'
local grants = space .. 'grants:'
local read, fetched, step, age = 0, 0, now, false
-- include _worth

local uses, used, worths = space .. 'uses', {}, {}

-- a copy is worth more with each read, and some are given their time anew
local function used_copy(record, member, count, body, ends, sliding_ms)
  age = age or tonumber(redis.call('HGET', space .. 'copies', 'age')) or 0
  worths[#worths + 1] = worth_of(count, size_of(member, #body), age)
  worths[#worths + 1] = member
  local sliding_to = sliding_ms and math.floor(now_us / 1000) + sliding_ms
  if sliding_to and sliding_to > tonumber(ends) then  -- it may have been warmed for longer
    local ends_ms = string.format('%.0f', sliding_to)
    redis.call('HSET', record, 'x', ends_ms)
    redis.call('PEXPIRE', record, sliding_ms)
    redis.call('ZADD', space .. 'ends', 'XX', ends_ms, member)
  end
end

-- many in one call: Lua cannot pass more than some thousands of arguments
local function in_parts(list, ...)
  for first = 1, #list, 1000 do
    local part = {...}
    for i = first, math.min(first + 999, #list) do part[#part + 1] = list[i] end
    redis.call(unpack(part))
  end
end

-- access counts are flushed to the archive later: not worth an fsync here
if touch then redis.set_repl(redis.REPL_NONE) end
for i = 1, #KEYS do
  local member = ARGV[i + 3]
  local mine = string.sub(member, 1, #own) == own
  local barred = not mine and (tonumber(redis.call('HGET', grants .. member, reader)) or 0) <= 0
  -- not even looked at: what is there must not cost more time than what is not
  local f = barred and {} or redis.call('HMGET', KEYS[i], 'b', 'v', 'c', 'a', 'g', 'x', 's', 'q')
  if barred then
    found[i] = 'n'
  elseif f[5] then
    found[i] = 'g'
  elseif not f[1] or (f[6] and tonumber(f[6]) * 1000 <= now_us) then  -- past its time, even if its key still stands
    found[i] = false
  elseif touch then
    local count = (tonumber(f[3]) or 0) + 1
    redis.call('HSET', KEYS[i], 'c', count, 'a', now)
    redis.call('ZINCRBY', uses, 1, member)
    used[#used + 1] = now
    used[#used + 1] = member
    if f[6] then used_copy(KEYS[i], member, count, f[1], f[6], f[7]) end
    if f[8] then fetched = fetched + redis.call('HDEL', KEYS[i], 'q') end
    if read < 3 then step = step .. ' ' .. member end
    read = read + 1
    found[i] = {f[1], f[2], count, now}
  else
    found[i] = {f[1], f[2], tonumber(f[3]) or 0, f[4]}
  end
end
if read > 0 then
  in_parts(used, 'ZADD', space .. 'used')
  in_parts(worths, 'ZADD', space .. 'worth', 'XX')
  local steps = redis.call('RPUSH', space .. 'trail:' .. reader, step)
  if steps == 1 then redis.call('SADD', space .. 'trails', reader) end
  if steps > 1000 then redis.call('LPOP', space .. 'trail:' .. reader) end
  redis.call('HINCRBY', space .. 'reads', own .. 'read', read)
  if fetched > 0 then redis.call('HINCRBY', space .. 'reads', own .. 'fetched', fetched) end
end
return found
