-- Room for copies. Needs: _books, _worth, limit (bytes), now_ms. Out of memory this may fail: not before a refill.
local walking = false  -- through all records, since the books are new: until that ends there is no room

local function entered(member, size, ends_ms, reads, lasting)
  local age = tonumber(redis.call('HGET', copies, 'age')) or 0
  quietly('HSET', sizes, member, string.format('%.0f', lasting and -size or size))
  quietly('ZADD', ends, string.format('%.0f', ends_ms), member)
  quietly('ZADD', worth, string.format('%.17g', worth_of(reads, size, age)), member)
  quietly('HINCRBY', copies, 'bytes', string.format('%.0f', size))
end

local function walk(cursor)
  local prefix = space .. 'rec:'
  for _ = 1, 10 do
    local found = redis.call('SCAN', cursor, 'MATCH', prefix .. '*', 'COUNT', 1000)
    for _, record in ipairs(found[2]) do
      local member = string.sub(record, #prefix + 1)
      local f = redis.call('HMGET', record, 'v', 'x', 'c')
      local copy = f[1] and tonumber(f[2]) and tonumber(f[2]) > now_ms
      if copy and redis.call('HEXISTS', sizes, member) == 0 then
        local size = size_of(member, redis.call('HSTRLEN', record, 'b'))
        entered(member, size, tonumber(f[2]), tonumber(f[3]) or 0, true)
      end
    end
    cursor = found[1]
    if cursor == '0' then return quietly('HDEL', copies, 'cursor') end
  end
  walking = true
  quietly('HSET', copies, 'cursor', cursor)
end

-- the books are those of this run of the server, without the copies whose time is over
local function audited(most)
  local info = redis.pcall('INFO', 'server')  -- where it is a service this may be refused
  local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or 'unknown'
  local f = redis.call('HMGET', copies, 'run', 'cursor')
  if f[1] ~= run then
    quietly('DEL', sizes, ends, worth, copies, space .. 'reads', space .. 'searches')
    quietly('HSET', copies, 'run', run)
    walk('0')
  elseif f[2] then
    walk(f[2])
  end
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now_ms, 'LIMIT', 0, most)) do struck(member) end
end

local function evicted(member)
  local size = struck(member)
  if size and size < 0 then
    redis.set_repl(redis.REPL_ALL)  -- else a restart would bring it back
    redis.call('ZREM', space .. 'leaving', member)
    redis.call('DEL', space .. 'rec:' .. member)
    redis.set_repl(usual)
  else
    quietly('DEL', space .. 'rec:' .. member)
  end
  quietly('HINCRBY', copies, 'evicted', 1)
end

-- Whether so many bytes have room, once what is worth less has gone. GreedyDual-Size-Frequency (Cherkasova 1998; the
-- ageing after Cao and Irani 1997): the worth of what went last, or was refused, is that of everything new. What was
-- asked for is never refused for its worth: a client that cannot read the archive itself finds it here alone.
local function has_room(size, reads, asked)
  if walking or size > limit then return false end
  local f = redis.call('HMGET', copies, 'bytes', 'age')
  local need, age = (tonumber(f[1]) or 0) + size - limit, tonumber(f[2]) or 0
  local value, highest = worth_of(reads, size, age), age
  local victims, from = {}, 0
  while need > 0 do
    local least = redis.call('ZRANGE', worth, from, from + 15, 'WITHSCORES')
    if #least == 0 then return false end
    for i = 1, #least, 2 do
      highest = math.max(highest, tonumber(least[i + 1]))
      if highest > value and not asked then
        quietly('HSET', copies, 'age', string.format('%.17g', value))
        return false
      end
      victims[#victims + 1] = least[i]
      need = need - math.abs(redis.call('HGET', sizes, least[i]) or 0)
      if need <= 0 then break end
    end
    from = from + 16
  end
  if #victims > 0 then quietly('HSET', copies, 'age', string.format('%.17g', highest)) end
  for _, member in ipairs(victims) do evicted(member) end
  return true
end
