#!lua flags=allow-oom
-- Records whose versions the archive holds leave the outbox, and their time to live starts; where there is no room for
-- them they go at once.
-- KEYS: outbox
-- ARGV: space (the namespace and a colon), limit (bytes of all copies),
--       then for each: persona, id, version, seconds (0: it goes at once), 1 if each read gives it this time anew
-- Returns: for each 1, or 0 where a newer version stands
local space, limit = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now_ms = math.floor((time[1] * 1000000 + time[2]) / 1000)
-- include _books
-- include _worth
-- include _room

local function armed(record, member, reads, ttl_ms, slides)
  local size = size_of(member, redis.call('HSTRLEN', record, 'b'))
  if not has_room(size, reads) then return redis.call('DEL', record) end
  local ends_ms = string.format('%.0f', now_ms + ttl_ms)
  redis.call('HSET', record, 'x', ends_ms)
  if slides then redis.call('HSET', record, 's', string.format('%.0f', ttl_ms)) end
  redis.call('PEXPIRE', record, string.format('%.0f', ttl_ms))
  redis.call('ZADD', space .. 'leaving', ends_ms, member)
  entered(member, size, now_ms + ttl_ms, reads, true)
end

audited(64)
local done, personas = {}, {}
for i = 3, #ARGV, 5 do
  local persona, id, version, ttl_ms = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3] * 1000
  local member = persona .. ':' .. id
  local record = space .. 'rec:' .. member
  local f = redis.call('HMGET', record, 'v', 'x', 'c', 't')
  if f[1] == version then
    redis.call('ZREM', KEYS[1], member)
    redis.call('ZREM', space .. 'pending:' .. persona, id)
    if f[4] then
      redis.call('ZREM', space .. 'times:' .. persona, f[4] .. id)
      redis.call('HDEL', record, 't')
    end
    if ttl_ms == 0 then
      struck(member)
      redis.call('ZREM', space .. 'leaving', member)
      redis.call('DEL', record)
    elseif not f[2] then  -- a copy keeps its time: it may be a refilled one, of which the append-only file has nothing
      armed(record, member, tonumber(f[3]) or 0, ttl_ms, ARGV[i + 4] == '1')
    end
    personas[persona] = true
    local marks = redis.call('HGETALL', space .. 'grants:' .. member)
    for j = 1, #marks, 2 do
      if tonumber(marks[j + 1]) > 0 then personas[marks[j]] = true end
    end
    done[#done + 1] = 1
  else
    done[#done + 1] = 0
  end
end
for persona in pairs(personas) do redis.call('INCR', space .. 'gen:' .. persona) end
return done
