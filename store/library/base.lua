#!lua name=fanfare_v2
-- Everything that changes more than one key of Fanfare in Redis. Each function is one atomic step.
--
-- All or nothing. Redis does not undo what a function wrote before it failed, so:
--   1. every check and every read comes before the first write;
--   2. when a write fails all the same (a key of the wrong type, in practice), what its unit has written
--      so far is taken back. A unit is one group (the deliveries of one entry) or one stream of an
--      append. The write that cannot be taken back (XADD with a given id, XDEL, the HDEL of a row) is
--      the last of its unit that can fail: what an UNLINK removes after an XDEL nobody looks for any more;
--   3. units before the failed one stay, complete and counted; the same call, repeated byte for byte,
--      knows them again and carries on with the rest.
-- A call of one unit is therefore applied whole or not at all, and any call, repeated, ends in the
-- state that an undisturbed call leaves. Error replies never carry a caller's text.
--
-- Wire. KEYS are named by the caller, ARGV are decimal text unless said otherwise. `groups` stands for
-- one triple of keys (journal, open, results) and two arguments (entry id, head) per group; a head is
-- big-endian: origin u8, entry_size u16, n u16, n slots u8, n indexes u8, n tokens u32, with slots and
-- indexes strictly ascending. A verdict is a byte: 0 ok, 1 duplicate, 2 fenced, 3 gone.

local kItemsMax = 256
local kGuardTtlMs = '3600000'
local kLastingGuardTtlMs = '7776000000'  -- 90 d, of publishers that keep their batches
local kLayout = '2'
local kOpen = '\0\0\0\0'

local kJournal, kLater, kMemory = 0, 1, 2
local kOk, kDuplicate, kFenced, kGone = '\0', '\1', '\2', '\3'
local kCounts = {'accepted', 'open', 'later', 'succeeded', 'dead', 'expired', 'cancelled'}

-- While a library is loaded Redis lends it nothing but redis.register_function: what functions use is
-- fetched by the first that runs.
local call, try, byte, char, sub, rep, find, concat, unpack_struct
local all_open, all_ok, all_slots  -- the states of n open deliveries, n verdicts ok, '\0\1\2…\255'

local function prepare()
  call, try, byte, char, sub, rep = redis.call, pcall, string.byte, string.char, string.sub, string.rep
  find, concat, unpack_struct = string.find, table.concat, struct.unpack
  local open, ok, slots = {}, {}, {}
  for n = 0, kItemsMax do
    open[n], ok[n] = rep(kOpen, n), rep(kOk, n)
    if n > 0 then slots[n] = char(n - 1) end
  end
  all_open, all_ok, all_slots = open, ok, concat(slots)
end

-- Makes a function of this library callable as fanfare2_<name>.
local function register(name, callback, flags)
  redis.register_function{
    function_name = 'fanfare2_' .. name,
    callback = function(keys, args)
      if not all_slots then prepare() end
      return callback(keys, args)
    end,
    flags = flags,
  }
end

local function bad_call(why) error({err = 'BADCALL ' .. why}) end

-- Fails with what `try` caught: a text, which error() would put an "ERR" before, or a table.
local function raise(problem) error(type(problem) == 'table' and problem or {err = problem}) end

-- Takes back one write. Tried twice: a taking-back that fails would leave half a change.
local function take_back(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then redis.pcall(...) end
end

-- Runs `change`; if it fails, runs `undo` and fails likewise.
local function all_or_nothing(change, undo, argument)
  local fine, problem = try(change, argument)
  if fine then return end
  undo(argument)
  raise(problem)
end

local function check_epoch(meta, epoch)
  if call('HGET', meta, 'epoch') ~= epoch then
    error({err = 'FENCED another broker has taken over'})
  end
end

-- A key of a function, or of Fanfare itself: its name says nothing of a caller's.
local function wrong_type(key)
  error({err = 'WRONGTYPE ' .. key .. ' is a ' .. call('TYPE', key).ok})
end

local function check_type(key, wanted)
  local found = call('TYPE', key).ok
  if found ~= 'none' and found ~= wanted then wrong_type(key) end
end

-- As call, for reading such a key: an error says which one holds the wrong kind of value.
local function look(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if type(reply) == 'table' and reply.err then
    if find(reply.err, '^WRONGTYPE') then wrong_type(key) end
    error(reply)
  end
  return reply
end

---------------------------------------------------------------------------------------------------
-- counts: accepted = open + later + succeeded + dead + expired + cancelled, at any instant

local function move(moves, name, by) moves[name] = (moves[name] or 0) + by end

local function undo_counts(key, moves)
  for _, name in ipairs(kCounts) do
    local by = moves[name]
    if by and by ~= 0 then take_back('HINCRBY', key, name, -by) end
  end
end

local function apply_counts(key, moves)
  local done = {}
  all_or_nothing(function()
    for _, name in ipairs(kCounts) do
      local by = moves[name]
      if by and by ~= 0 then
        call('HINCRBY', key, name, by)
        done[name] = by
      end
    end
  end, function() undo_counts(key, done) end)
end
