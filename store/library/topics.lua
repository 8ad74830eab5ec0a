
-- Topics: definitions, JSON each

local kTopicsMax = 10000

-- KEYS meta, topics · ARGV epoch, name, definition (or empty: none). Answers whether there was one; -1 if
-- there are too many.
local function set_topic(keys, args)
  if #keys ~= 2 or #args ~= 3 then bad_call('set_topic') end
  check_epoch(keys[1], args[1])
  local held = look('HEXISTS', keys[2], args[2])
  if args[3] == '' then return call('HDEL', keys[2], args[2]) end
  if held == 0 and call('HLEN', keys[2]) >= kTopicsMax then return -1 end
  call('HSET', keys[2], args[2], args[3])
  return held
end

-- KEYS topics · ARGV cursor. Answers the next cursor, then name, definition, ….
local function list_topics(keys, args)
  local page = look('HSCAN', keys[1], args[1], 'COUNT', 16)
  local answer = {page[1]}
  for _, text in ipairs(page[2]) do answer[#answer + 1] = text end
  return answer
end

register('set_topic', set_topic, {})
register('remove_topic', set_topic, {'allow-oom'})
register('list_topics', list_topics, {'no-writes'})
