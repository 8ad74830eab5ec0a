
-- Reading

-- KEYS publishers:<client> · ARGV sequence. Answers entry, runs, entry, runs … of that sequence.
local function recall(keys, args)
  if call('HGET', keys[1], 'sequence') ~= args[1] then return {} end
  local held, runs = call('HGETALL', keys[1]), {}
  for i = 1, #held, 2 do
    if held[i] ~= 'sequence' then
      runs[#runs + 1] = held[i]
      runs[#runs + 1] = held[i + 1]
    end
  end
  return runs
end

-- KEYS journal, open · ARGV after (entry, exclusive), entries at most, bytes at most, and the entry, if any,
-- up to which events that lie beside are left out. Answers whether the lane goes on (0, 1), then per entry
-- {id, its states (or false), {index, event, …}}; of events that are left out the first field alone.
local function page(keys, args)
  local journal, after = keys[1], '(' .. args[1]
  local entries_max, bytes_max, apart = tonumber(args[2]), tonumber(args[3]), args[4]
  if not entries_max or entries_max > kItemsMax or not bytes_max then bad_call('page') end
  local answer, ids, bytes = {0}, {}, 0
  while true do
    local entry = look('XRANGE', journal, after, '+', 'COUNT', 1)[1]
    if not entry then break end
    if #ids >= entries_max or bytes >= bytes_max then
      answer[1] = 1
      break
    end
    ids[#ids + 1] = entry[1]
    local fields = entry[2]
    if apart and fields[2] == kBeside and not is_newer(entry[1], apart) then
      fields, bytes = {fields[1]}, bytes + bytes_beside(journal, entry[1])
    else
      fields = with_events(journal, entry[1], fields)
      for i = 2, #fields, 2 do bytes = bytes + #fields[i] end
    end
    answer[#answer + 1] = {entry[1], false, fields}
    after = '(' .. entry[1]
  end
  if #ids == 0 then return answer end
  local states = look('HMGET', keys[2], unpack(ids))
  for i = 1, #ids do answer[i + 1][2] = states[i] end
  return answer
end

-- Bytes in order, whatever the server's locale says.
local function is_after(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = byte(a, i), byte(b, i)
    if x ~= y then return x > y end
  end
  return #a > #b
end

-- The rank of the first row behind (due, id), also when that row itself is gone.
local function rank_behind(later, due, id)
  local score, rank = look('ZSCORE', later, id), look('ZRANK', later, id)
  if rank and tonumber(score) == tonumber(due) then return rank + 1 end
  local low, high = look('ZCOUNT', later, '-inf', '(' .. due), look('ZCOUNT', later, '-inf', due)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_after(look('ZRANGE', later, middle, middle)[1], id) then high = middle
    else low = middle + 1 end
  end
  return low
end

-- KEYS later, rows · ARGV from ms, id (start behind it; empty: from ms inclusive), until ms, rows at
-- most, bytes at most, rows to skip first. Answers the due ms of the first row left (or false), id and due
-- ms of the last that was skipped (or false), then id, due ms, row, ….
local function due(keys, args)
  local later, rows, from, id = keys[1], keys[2], args[1], args[2]
  local until_ms, rows_max, bytes_max = tonumber(args[3]), tonumber(args[4]), tonumber(args[5])
  local skip = tonumber(args[6])
  if not tonumber(from) or not until_ms or not rows_max or rows_max > kItemsMax or not bytes_max or
      not skip then
    bad_call('due')
  end
  local rank = id ~= '' and rank_behind(later, from, id) or look('ZCOUNT', later, '-inf', '(' .. from)
  local before = skip > 0 and 1 or 0
  local first = rank + skip - before
  local places = look('ZRANGE', later, first, first + before + rows_max, 'WITHSCORES')
  local skipped = before > 0 and #places > 0
  local answer, bytes = {false, skipped and places[1], skipped and places[2]}, 0
  for i = 1 + 2 * before, #places, 2 do
    local at = tonumber(places[i + 1])
    if at > until_ms or i > 2 * (before + rows_max) or bytes >= bytes_max then
      answer[1] = places[i + 1]
      break
    end
    local row = look('HGET', rows, places[i])
    if row then
      answer[#answer + 1] = places[i]
      answer[#answer + 1] = places[i + 1]
      answer[#answer + 1] = row
      bytes = bytes + #row
    end
  end
  return answer
end

-- Who keeps an ordering key in `later`, from a cursor on: the next cursor, and id, key, due ms, ….
local function list_held(later, held, cursor)
  local slice, list = look('HSCAN', held, cursor, 'COUNT', kItemsMax / 2), {}
  local rows = slice[2]
  for i = 1, #rows, 2 do
    local due_ms = look('ZSCORE', later, rows[i])
    if due_ms then
      list[#list + 1] = rows[i]
      list[#list + 1] = rows[i + 1]
      list[#list + 1] = due_ms
    end
  end
  return slice[1], list
end

-- KEYS counts, later, held, rows, then the journal of every lane, then the states of every lane · ARGV
-- cursor. Answers the counts, the earliest due ms (or false), the positions (from 0) of the journals
-- that are not empty, and who keeps an ordering key, a slice of about 128: as many in all as there are
-- keys whose first delivery waits for its retry; last the cursor to go on with, 0 = that was all. Goes
-- on with holders alone. Fails, and says which it is, if any of these keys holds the wrong kind of value.
local function survey(keys, args)
  local cursor = args[1]
  if not tonumber(cursor) then bad_call('cursor') end
  if cursor ~= '0' then
    local next, list = list_held(keys[2], keys[3], cursor)
    return {{}, false, {}, list, next}
  end
  check_type(keys[4], 'hash')
  local lanes, all = {}, (#keys - 4) / 2
  for i = 5, 4 + all do
    if look('XLEN', keys[i]) > 0 then lanes[#lanes + 1] = i - 5 end
    check_type(keys[i + all], 'hash')
  end
  local first = look('ZRANGE', keys[2], 0, 0, 'WITHSCORES')
  local next, list = list_held(keys[2], keys[3], cursor)
  return {look('HMGET', keys[1], unpack(kCounts)), first[2] or false, lanes, list, next}
end

-- The fields of an entry and whether its delivery at `slot` (from 0) is open.
local function is_open(open, entry, fields, slot)
  if #fields == 2 then return true end
  local states = call('HGET', open, entry)
  return states and sub(states, 4 * slot + 1, 4 * slot + 4) == kOpen
end

-- KEYS later, rows, results of the entry, then journal and open of every lane · ARGV entry, index.
-- Answers where the delivery lies: {'later', due ms, row}, {'ended', the first bytes of its result, or
-- none}, {'journal', position of the lane, slot, deliveries in the entry, event}, {'nowhere'}.
local function find_delivery(keys, args)
  local entry, index = args[1], args[2]
  local id = entry .. '.' .. index
  local row = call('HGET', keys[2], id)
  if row then return {'later', call('ZSCORE', keys[1], id) or '0', row} end
  local result = read_results(keys[3], {index})[1]
  if result then return {'ended', sub(result, 5, 36)} end
  for k = 4, #keys, 2 do
    local held = call('XRANGE', keys[k], entry, entry)[1]
    local fields = held and fields_of_entry(keys[k], held) or {}
    for i = 1, #fields, 2 do
      if fields[i] == index then
        local slot = (i - 1) / 2
        if not is_open(keys[k + 1], entry, fields, slot) then return {'ended', ''} end
        return {'journal', (k - 4) / 2, slot, #fields / 2, fields[i + 1]}
      end
    end
  end
  return {'nowhere'}
end

-- KEYS results of the entry · ARGV index. Answers token u32 + packed result, or nil.
local function result(keys, args)
  if not tonumber(args[1]) then bad_call('index') end
  return read_results(keys[1], {args[1]})[1]
end

register('result', result, {'no-writes'})
register('find', find_delivery, {'no-writes'})
register('recall', recall, {'no-writes'})
register('page', page, {'no-writes'})
register('due', due, {'no-writes'})
register('survey', survey, {'no-writes'})
