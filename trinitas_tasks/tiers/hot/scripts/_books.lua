-- The books of the copies: what each takes and is worth. Needs: space.
-- They are never replicated: a restarted server has lost the refilled copies and makes the books anew (see _room).
local sizes, ends, worth, copies = space .. 'sizes', space .. 'ends', space .. 'worth', space .. 'copies'
local usual = redis.REPL_ALL

local function quietly(...)
  redis.set_repl(redis.REPL_NONE)
  local answer = redis.call(...)
  redis.set_repl(usual)
  return answer
end

-- a copy has gone, or is none any more: its size, negative where the append-only file has the record
local function struck(member)
  local size = redis.call('HGET', sizes, member)
  if not size then return false end
  quietly('HDEL', sizes, member)
  quietly('ZREM', ends, member)
  quietly('ZREM', worth, member)
  quietly('HINCRBY', copies, 'bytes', string.format('%.0f', -math.abs(size)))
  return tonumber(size)
end
