
-- Dead letters: read, redriven, purged

-- A letter's fields by name; nil if it is no longer there.
local function read_letter(dead, letter)
  local found = call('XRANGE', dead, letter, letter)[1]
  if not found then return nil end
  local fields = {}
  for i = 1, #found[2], 2 do fields[found[2][i]] = found[2][i + 1] end
  return fields
end

-- KEYS dead · ARGV bytes at most, ids of letters. Answers how many of them were looked at (those behind
-- did not fit), then of each that is there: its id, event id, status, reason, token (or ''), record,
-- event.
local function letters(keys, args)
  local bytes_max = tonumber(args[1])
  if not bytes_max or #args < 2 or #args > 1 + kItemsMax then bad_call('letters') end
  local answer, bytes = {#args - 1}, 0
  for i = 2, #args do
    if bytes >= bytes_max then
      answer[1] = i - 2
      break
    end
    local letter = read_letter(keys[1], args[i])
    if letter and letter.id and letter.record and letter.event then
      answer[#answer + 1] = {args[i], letter.id, letter.status or '1', letter.reason or '0',
        letter.token or '', letter.record, letter.event}
      bytes = bytes + #letter.record + #letter.event
    end
  end
  return answer
end

-- Reads what one letter's redrive needs, and judges it.
local function judge_redrive(item, dead, rows, row)
  local letter = read_letter(dead, item.letter)
  local old = call('HGET', rows, item.id)
  if old then
    item.verdict = sub(old, 1, 4) == sub(row, 1, 4) and not letter and kDuplicate or kFenced
  elseif not letter or letter.id ~= item.id then
    item.verdict = kGone
  else
    item.verdict = kOk
    item.count = letter.status == '2' and 'expired' or 'dead'
    item.result = call('HGET', item.results, item.index)
    item.ttl_ms = item.result and call('PTTL', item.results)
  end
end

local function write_redrive(item, dead, later, rows, due_ms, row)
  call('ZADD', later, due_ms, item.id)
  item.placed = true
  call('HSET', rows, item.id, row)
  item.filled = true
  if item.result then
    call('HDEL', item.results, item.index)
    item.cleared = true
  end
  call('XDEL', dead, item.letter)
end
local function undo_redrive(item, later, rows)
  if item.cleared then
    take_back('HSET', item.results, item.index, item.result)
    if item.ttl_ms >= 0 then take_back('PEXPIRE', item.results, item.ttl_ms) end
  end
  if item.filled then take_back('HDEL', rows, item.id) end
  if item.placed then take_back('ZREM', later, item.id) end
  item.placed, item.filled, item.cleared = nil, nil, nil
end

-- KEYS meta, counts, later, rows, dead, results per letter · ARGV epoch, per letter: its id, event id,
-- due in ms, row (as in postpone). Each letter is a unit. Answers the verdicts: fenced where the delivery
-- has a row already, gone where the letter is not there.
local function redrive(keys, args)
  local counts, later, rows, dead = keys[2], keys[3], keys[4], keys[5]
  check_epoch(keys[1], args[1])
  local n = #keys - 5
  if n < 1 or n > kItemsMax or #args ~= 1 + 4 * n then bad_call('letters') end
  local items, seen, moves = {}, {}, {}
  for i = 1, n do
    local at = 4 * i - 2
    local letter, id = args[at], args[at + 1]
    local index = string.match(id, '^%d+%-%d+%.(%d+)$')
    if not index or not tonumber(args[at + 2]) or #args[at + 3] < 20 then bad_call('letter') end
    if seen[id] then bad_call('event named twice') end
    seen[id] = true
    items[i] = {letter = letter, id = id, index = index, results = keys[5 + i]}
    judge_redrive(items[i], dead, rows, args[at + 3])
  end
  local function tally(item, to, sign)
    if item.verdict ~= kOk then return end
    move(to, item.count, -sign)
    move(to, 'later', sign)
  end
  for _, item in ipairs(items) do tally(item, moves, 1) end
  apply_counts(counts, moves)
  local verdicts = {}
  for i, item in ipairs(items) do
    verdicts[i] = item.verdict
    if item.verdict == kOk then
      all_or_nothing(function()
        write_redrive(item, dead, later, rows, args[4 * i], args[4 * i + 1])
      end, function()
        undo_redrive(item, later, rows)
        local back = {}
        for j = i, n do tally(items[j], back, 1) end
        undo_counts(counts, back)
      end)
    end
  end
  return concat(verdicts)
end

-- KEYS meta, dead · ARGV epoch, ids of letters. Answers how many there were. The counts stay: they say
-- how deliveries have ended, not what is kept of them.
local function purge_letters(keys, args)
  check_epoch(keys[1], args[1])
  if #args < 2 or #args > 1 + kItemsMax then bad_call('letters') end
  return call('XDEL', keys[2], unpack(args, 2))
end

register('letters', letters, {'no-writes'})
register('redrive', redrive, {})
register('purge_letters', purge_letters, {'allow-oom'})
