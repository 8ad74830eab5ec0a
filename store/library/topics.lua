
-- Topics: definitions, JSON each

local kTopicsMax = 10000

-- KEYS meta, topics · ARGV epoch, then of each topic: name, definition (or, of all: empty, to remove them).
-- Answers 0, or -1 if there would be too many: then nothing was written. One write, which needs no taking back.
local function set_topics(keys, args)
  local n = (#args - 1) / 2
  if #keys ~= 2 or #args % 2 ~= 1 or n < 1 or n > kItemsMax then bad_call('set_topics') end
  check_epoch(keys[1], args[1])
  local total, new, names = look('HLEN', keys[2]), 0, {}
  for i = 2, #args, 2 do
    if (args[i + 1] == '') ~= (args[3] == '') then bad_call('set_topics') end
    names[#names + 1] = args[i]
    new = new + 1 - call('HEXISTS', keys[2], args[i])
  end
  if args[3] == '' then
    call('HDEL', keys[2], unpack(names))
    return 0
  end
  if new > 0 and total + new > kTopicsMax then return -1 end
  call('HSET', keys[2], unpack(args, 2))
  return 0
end

-- KEYS topics · ARGV cursor. Answers the next cursor, then name, definition, ….
local function list_topics(keys, args)
  local page = look('HSCAN', keys[1], args[1], 'COUNT', 16)
  local answer = {page[1]}
  for _, text in ipairs(page[2]) do answer[#answer + 1] = text end
  return answer
end

register('set_topics', set_topics, {})
register('remove_topics', set_topics, {'allow-oom'})
register('list_topics', list_topics, {'no-writes'})
