
-- Outboxes: what functions publish, until the broker has appended it

-- KEYS the outboxes of functions. Answers how many entries each has.
local function count_outboxes(keys)
  local counts = {}
  for i = 1, #keys do counts[i] = call('XLEN', keys[i]) end
  return counts
end

-- KEYS outbox · ARGV after (entry, exclusive), entries at most, bytes at most. Answers whether it goes
-- on (0, 1), then id, to, packed event, ….
local function read_outbox(keys, args)
  local after, entries_max, bytes_max = '(' .. args[1], tonumber(args[2]), tonumber(args[3])
  if not entries_max or entries_max > kItemsMax or not bytes_max then bad_call('outbox page') end
  local answer, entries, bytes = {0}, 0, 0
  while true do
    local entry = call('XRANGE', keys[1], after, '+', 'COUNT', 1)[1]
    if not entry then break end
    if entries >= entries_max or bytes >= bytes_max then
      answer[1] = 1
      break
    end
    local fields = {}
    for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
    entries, bytes = entries + 1, bytes + #(fields.event or '')
    answer[#answer + 1] = entry[1]
    answer[#answer + 1] = fields.to or ''
    answer[#answer + 1] = fields.event or ''
    after = '(' .. entry[1]
  end
  return answer
end

-- KEYS outboxes, then those of append · ARGV number of outboxes, per outbox: number of ids, ids …; then
-- those of append. An append of what lies in outboxes, which deletes it there. Takes no room that it
-- does not give back, so a full Redis allows it.
local function republish(keys, args)
  local outboxes, at, taken = tonumber(args[1]), 2, {}
  if not outboxes or outboxes < 1 or #keys <= outboxes then bad_call('outboxes') end
  for o = 1, outboxes do
    local n, ids = tonumber(args[at]), {}
    if not n or n < 1 or n > kItemsMax or #args < at + n then bad_call('number of outbox entries') end
    for i = 1, n do ids[i] = args[at + i] end
    taken[o] = {outbox = keys[o], ids = ids}
    at = at + 1 + n
  end
  return append(rest_of(keys, outboxes + 1), rest_of(args, at), taken)
end

register('count_outboxes', count_outboxes, {'no-writes'})
register('read_outbox', read_outbox, {'no-writes'})
register('republish', republish, {'allow-oom'})
