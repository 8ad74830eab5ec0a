
-- append: one chunk into the journals of all functions that get some of it

local function parse_entry(text)
  local ms, seq = string.match(text or '', '^(%d+)%-(%d+)$')
  if not ms then return nil end
  return tonumber(ms), tonumber(seq)
end

local function is_newer(entry, last)
  local ms, seq = parse_entry(entry)
  if not ms then bad_call('entry') end
  if not last then return true end
  local last_ms, last_seq = parse_entry(last)
  if not last_ms then error({err = 'BADLAYOUT last_entry is not an entry id'}) end
  return ms > last_ms or (ms == last_ms and seq > last_seq)
end

-- Was this entry the last that the stream took? Then an earlier try of this very append got here.
local function is_last_of(journal, entry)
  local info = redis.pcall('XINFO', 'STREAM', journal)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] == entry end
  end
  return false
end

local function check_staged(journal, entry, epoch, layout)
  if layout == '1' then bad_call('staged') end
  check_type(journal, 'stream')
  if call('EXISTS', staged_key_of(journal, entry, epoch)) == 0 then
    error({err = 'UNSTAGED the events of an append are not there'})
  end
end

-- Puts staged events beside their entry. What is staged expires, what is accepted does not.
local function place_events(journal, entry, epoch)
  local events = events_key_of(journal, entry)
  call('RENAME', staged_key_of(journal, entry, epoch), events)
  call('PERSIST', events)
end
-- Unless an earlier try has written the entry: then they are what they were.
local function undo_place_events(journal, entry)
  local found = redis.pcall('XRANGE', journal, entry, entry)
  local gone = not found.err and #found == 0
  take_back(gone and 'UNLINK' or 'PERSIST', events_key_of(journal, entry))
end

-- One stream: its counts, its states, and last its entry, which cannot be taken back.
local function append_stream(journal, open, counts, entry, epoch, args, first, n, layout)
  local moves, stated = {accepted = n, open = n}, false
  local beside = args[first + (n == 1 and 1 or 0)] == kBeside
  apply_counts(counts, moves)
  local fine, problem = try(function()
    if n > 1 then stated = call('HSETNX', open, entry, all_open[n]) == 1 end
    if beside then place_events(journal, entry, epoch) end
    if n == 1 then call('XADD', journal, entry, args[first], args[first + 1])
    elseif layout == '1' then call('XADD', journal, entry, unpack(fields_of_packed(args[first])))
    else call('XADD', journal, entry, kEventsField, args[first]) end
  end)
  if fine then return end
  if beside then undo_place_events(journal, entry) end
  if stated then take_back('HDEL', open, entry) end
  undo_counts(counts, moves)
  if not is_last_of(journal, entry) then raise(problem) end
end

-- What a publisher's batch has in the journal, by entry. Only the newest batch is kept: a publisher has
-- one in flight.
local function sequence_of(kept)
  for i = 1, #kept, 2 do
    if kept[i] == 'sequence' then return tonumber(kept[i + 1]) end
  end
  return -1
end
local function guard_ttl(key)
  return find(key, 'publishers:lasting-', 1, true) and kLastingGuardTtlMs or kGuardTtlMs
end
local function write_guard(key, kept, sequence, entry, runs)
  local last = sequence_of(kept)
  if last > tonumber(sequence) then return end
  if last ~= -1 and last < tonumber(sequence) then call('DEL', key) end
  call('HSET', key, 'sequence', sequence, entry, runs)
  call('PEXPIRE', key, guard_ttl(key))
end
local function undo_guard(key, kept)
  take_back('DEL', key)
  if #kept == 0 then return end
  take_back('HSET', key, unpack(kept))
  take_back('PEXPIRE', key, guard_ttl(key))
end

-- KEYS meta, per stream: journal, open, counts; per guard: publishers:<client>; per claim: ids:<hash> ·
-- ARGV epoch, entry, entry of the append before this one (or empty: do not check), number of streams,
-- number of guards, number of claims, per stream: number of items; per guard: sequence, packed runs;
-- if there are claims: the window in ms, per claim: value; per stream: its events, packed, or
-- of one its index and itself; empty: they are staged. Then, if
-- some events are not to run yet, what delayed.lua has: it names the keys behind all others.
-- Answers 0, or 1 for a repeat. GAP: the append before this one has not been applied. CLAIMED: one of
-- the ids or keys is not free. UNSTAGED: what should be staged is not. `taken` are the outbox entries
-- that these events were, see republish.
local function append(keys, args, taken)
  local meta, epoch, entry, before = keys[1], args[1], args[2], args[3]
  local streams, guards, claims = tonumber(args[4]), tonumber(args[5]), tonumber(args[6])
  local state = call('HMGET', meta, 'epoch', 'last_entry', 'layout')
  if state[1] ~= epoch then error({err = 'FENCED another broker has taken over'}) end
  if not is_newer(entry, state[2]) then return 1 end
  if before ~= '' and before ~= (state[2] or '0-0') then
    error({err = 'GAP the append before this one is missing'})
  end

  if not streams or not guards or not claims or #keys < 1 + 3 * streams + guards + claims then
    bad_call('keys')
  end
  local claim, window = 2 + 3 * streams + guards, 7 + streams + 2 * guards
  local first = window + (claims > 0 and 1 + claims or 0)
  local total = first - 1  -- of the arguments up to here
  for s = 1, streams do
    local n = tonumber(args[6 + s])
    if not n or n < 1 or n > kItemsMax then bad_call('number of items') end
    total = total + (n == 1 and 2 or 1)
    if args[total] == kBeside then check_staged(keys[3 * s - 1], entry, epoch, state[3]) end
    if streams > 1 then
      check_type(keys[3 * s - 1], 'stream')
      check_type(keys[3 * s], 'hash')
      check_type(keys[3 * s + 1], 'hash')
    end
  end
  local delayed = read_delayed(keys, claim + claims, args, total + 1)
  for _, from in ipairs(taken or {}) do
    for _, id in ipairs(from.ids) do
      if #call('XRANGE', from.outbox, id, id) ~= 1 then
        error({err = 'GONE an outbox entry is not there any more'})
      end
    end
  end
  if claims > 0 then
    if claims > 2 * kItemsMax or not tonumber(args[window]) then bad_call('claims') end
    check_unclaimed(keys, claim, claims)
  end
  local kept = {}
  for g = 1, guards do kept[g] = call('HGETALL', keys[1 + 3 * streams + g]) end

  local marked, guarded, claimed = false, 0, 0
  all_or_nothing(function()
    call('HSET', meta, 'last_entry', entry)
    marked = true
    for g = 1, guards do
      guarded = g
      local at = 5 + streams + 2 * g
      write_guard(keys[1 + 3 * streams + g], kept[g], args[at], entry, args[at + 1])
    end
    if claims > 0 then
      write_claims(keys, claim, claims, args, window)
      claimed = claims
    end
    for _, group in ipairs(delayed) do place_delayed(group) end
    for s = 1, streams do
      local n = tonumber(args[6 + s])
      append_stream(keys[3 * s - 1], keys[3 * s], keys[3 * s + 1], entry, epoch, args, first, n,
                    state[3])
      first = first + (n == 1 and 2 or 1)
    end
    -- Cannot fail, as they were there above: a failure here could not be taken back.
    for _, from in ipairs(taken or {}) do take_back('XDEL', from.outbox, unpack(from.ids)) end
  end, function()
    for _, group in ipairs(delayed) do undo_delayed(group) end
    undo_claims(keys, claim, claimed)
    for g = guarded, 1, -1 do undo_guard(keys[1 + 3 * streams + g], kept[g]) end
    if not marked then return end
    if state[2] then take_back('HSET', meta, 'last_entry', state[2])
    else take_back('HDEL', meta, 'last_entry') end
  end)
  return 0
end

register('append', append, {})
