-- The persona's generation, and the answer that is cached for it.
-- KEYS: generation
-- ARGV: answer prefix of the persona, digest
local generation = redis.call('GET', KEYS[1]) or '0'
return {generation, redis.call('GET', ARGV[1] .. generation .. ':' .. ARGV[2])}
