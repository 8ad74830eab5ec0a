
-- Claims: what of a caller's ids and keys is taken. A claim is a string that expires with the window
-- in which two events of one id, or of one key, are one.

-- KEYS[first] and the n - 1 behind it must be free.
local function check_unclaimed(keys, first, n)
  for from = first, first + n - 1, kItemsMax do
    local to = math.min(from + kItemsMax, first + n) - 1
    if call('EXISTS', unpack(keys, from, to)) > 0 then
      error({err = 'CLAIMED an event with the same id or key lies in the journal'})
    end
  end
end

local function undo_claims(keys, first, made)
  for i = first, first + made - 1 do take_back('DEL', keys[i]) end
end

-- ARGV[arg] is the window in ms, behind it stand the values.
local function write_claims(keys, first, n, args, arg)
  local made, window = 0, args[arg]
  all_or_nothing(function()
    for i = 1, n do
      call('SET', keys[first + i - 1], args[arg + i], 'PX', window)
      made = i
    end
  end, function() undo_claims(keys, first, made) end)
end

-- KEYS ids:<hash> …, at most 256. Answers their values, false where one is free.
local function lookup(keys)
  if #keys < 1 or #keys > kItemsMax then bad_call('lookup') end
  return call('MGET', unpack(keys))
end

register('lookup', lookup, {'no-writes'})
