#include "store/decode.h"

#include <algorithm>

#include "store/bytes.h"
#include "store/grouping.h"
#include "store/packed.h"
#include "store/row.h"
#include "store/rows.h"

namespace fanfare::store {
namespace {

using Type = RedisReply::Type;

Error unexpected(std::string_view what) {
  return reject("Redis answered " + std::string{what} + " in a shape that is not the library's");
}

// No verdict lies behind `last`.
Result<std::vector<Verdict>> verdict_bytes(const RedisReply& reply, std::size_t count,
                                           Verdict last = Verdict::kGone) {
  const std::string_view bytes = reply.text();
  if (reply.type() != Type::kString || bytes.size() != count) return unexpected("a change");
  std::vector<Verdict> all;
  all.reserve(count);
  for (const char byte : bytes) {
    if (static_cast<unsigned char>(byte) > static_cast<unsigned char>(last)) {
      return unexpected("a verdict");
    }
    all.push_back(static_cast<Verdict>(byte));
  }
  return all;
}

// The verdicts come in the order of the wire; callers want that of their items.
Result<std::vector<Verdict>> verdicts(const std::vector<GroupedItem>& items,
                                      const RedisReply& reply, Verdict last = Verdict::kGone) {
  auto in_order = verdict_bytes(reply, items.size(), last);
  if (!in_order) return in_order;
  std::vector<Verdict> all(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) all[items[i].position] = (*in_order)[i];
  return all;
}

Result<LetterList::Letter> listed_letter(const RedisReply& reply) {
  const auto letter = protocol::parse_entry_id(reply[0].text());
  const auto id = protocol::parse_event_id(reply[1].text());
  const auto status = parse_number<std::uint8_t>(reply[2].text());
  const auto reason = parse_number<std::uint8_t>(reply[3].text());
  const std::string_view token = reply[4].text();
  if (reply.size() != 7 || !letter || !id || !status || !reason) return unexpected("a letter");
  LetterList::Letter read{*letter,
                          *id,
                          static_cast<protocol::Status>(*status),
                          static_cast<protocol::DeadReason>(*reason),
                          {},
                          std::string{reply[5].text()},
                          std::string{reply[6].text()}};
  // Letters of older versions do not say.
  if (token.size() == 4) read.token = by_attempt({read_big_endian<std::uint32_t>(token)});
  return read;
}

// `beside`: its events, if the reply leaves them out.
Result<Paged::Entry> paged_entry(const RedisReply& reply, std::string_view beside) {
  const RedisReply states_reply = reply[1], fields = reply[2];
  auto id = protocol::parse_entry_id(reply[0].text());
  const bool is_beside = fields.size() == 1;
  if (!id || (fields.size() % 2 != 0 && !is_beside) || fields.size() == 0 ||
      fields.size() > 2 * protocol::kChunkEventsMax) {
    return unexpected("a page");
  }
  std::vector<std::pair<std::uint8_t, std::string_view>> events;  // by slot
  for (std::size_t at = 0; at < fields.size(); at += 2) {
    const auto read = for_each_event(
        fields[at].text(), is_beside ? beside : fields[at + 1].text(),
        [&](std::uint8_t index, std::string_view event) { events.emplace_back(index, event); });
    if (!read) return unexpected("an entry");
  }
  const std::size_t count = events.size();
  if (count == 0 || count > protocol::kChunkEventsMax) return unexpected("an entry");
  const std::string_view states = states_reply.text();
  Paged::Entry entry;
  entry.entry = *id;
  entry.entry_size = static_cast<std::uint16_t>(count);
  // Several deliveries and no states: closed, so nothing of it is open. One needs no state.
  if (count > 1 && states_reply.is_nil()) return entry;
  if (count > 1 && states.size() != 4 * count) return unexpected("the states of an entry");
  for (std::size_t slot = 0; slot < count; ++slot) {
    if (count > 1 && read_big_endian<std::uint32_t>(states.substr(4 * slot)) != 0) continue;
    const auto& [index, event] = events[slot];
    entry.open.push_back({index, static_cast<std::uint8_t>(slot), event});
  }
  return entry;
}

struct Decoder {
  const RedisReply& reply;
  const Fetching* fetched;

  Result<Answer> operator()(const Begin&) {
    auto last = protocol::parse_entry_id(reply[1].text());
    if (reply.size() != 3 || reply[0].integer() <= 0 || !last || reply[2].integer() <= 0) {
      return unexpected("begin");
    }
    return Answer{Begun{static_cast<std::uint32_t>(reply[0].integer()), *last,
                        static_cast<std::uint32_t>(reply[2].integer())}};
  }
  Result<Answer> operator()(const Append&) {
    if (reply.type() != Type::kInteger) return unexpected("append");
    return Answer{Appended{reply.integer() != 0}};
  }
  Result<Answer> operator()(const Lookup& call) {
    if (!reply.is_array() || reply.size() != call.keys.size()) return unexpected("lookup");
    LookedUp found;
    for (std::size_t i = 0; i < reply.size(); ++i) {
      auto& packed = found.packed.emplace_back();
      if (!reply[i].is_nil()) packed = std::string{reply[i].text()};
    }
    return Answer{std::move(found)};
  }
  Result<Answer> operator()(const Commit& call) {
    auto all = verdicts(grouped(call), reply, Verdict::kNotANumber);
    if (!all) return all.error();
    return Answer{Committed{std::move(*all)}};
  }
  Result<Answer> operator()(const Postpone& call) { return moved(call); }
  Result<Answer> operator()(const Bury& call) {
    if (!reply.is_array()) return moved(call);
    if (reply.size() != 2) return unexpected("bury");
    auto all = verdicts(grouped(call), reply[0]);
    if (!all) return all.error();
    return Answer{Moved{std::move(*all), static_cast<std::uint64_t>(reply[1].integer())}};
  }
  template <typename T>
  Result<Answer> moved(const T& call) {
    auto all = verdicts(grouped(call), reply);
    if (!all) return all.error();
    return Answer{Moved{std::move(*all)}};
  }

  Result<Answer> operator()(const ReadLetters&) {
    if (!reply.is_array() || reply.size() == 0) return unexpected("letters");
    LetterList list;
    list.taken = static_cast<std::size_t>(reply[0].integer());
    for (std::size_t i = 1; i < reply.size(); ++i) {
      auto letter = listed_letter(reply[i]);
      if (!letter) return letter.error();
      list.letters.push_back(std::move(*letter));
    }
    return Answer{std::move(list)};
  }
  Result<Answer> operator()(const Redrive& call) {
    auto all = verdict_bytes(reply, call.items.size());
    if (!all) return all.error();
    return Answer{Moved{std::move(*all)}};
  }
  Result<Answer> operator()(const PurgeLetters&) {
    if (reply.type() != Type::kInteger) return unexpected("a purge");
    return Answer{Purged{static_cast<std::uint64_t>(reply.integer())}};
  }

  Result<Answer> operator()(const Page&) {
    if (reply.size() == 0) return unexpected("page");
    Paged paged;
    paged.more = reply[0].integer() != 0;
    paged.entries.reserve(reply.size() - 1);
    for (std::size_t i = 1; i < reply.size(); ++i) {
      std::string_view beside;
      if (reply[i][2].size() == 1) {
        if (fetched != nullptr) beside = fetched->events_of(reply[i][0].text());
        if (beside.empty()) return unexpected("a page that names what was not fetched");
      }
      auto entry = paged_entry(reply[i], beside);
      if (!entry) return entry.error();
      paged.entries.push_back(std::move(*entry));
    }
    return Answer{std::move(paged)};
  }

  Result<Answer> operator()(const Due&) {
    if (reply.size() % 3 != 0) return unexpected("due");
    DueRows due;
    if (!reply[0].is_nil()) {
      due.next_due_ms = parse_number<std::int64_t>(reply[0].text());
      if (!due.next_due_ms) return unexpected("a due time");
    }
    if (!reply[1].is_nil()) {
      const auto id = protocol::parse_event_id(reply[1].text());
      const auto due_ms = parse_number<std::int64_t>(reply[2].text());
      if (!id || !due_ms) return unexpected("the row before those of `later`");
      due.before = {*id, *due_ms};
    }
    for (std::size_t i = 3; i < reply.size(); i += 3) {
      auto id = protocol::parse_event_id(reply[i].text());
      const auto due_ms = parse_number<std::int64_t>(reply[i + 1].text());
      auto row = view_later_row(reply[i + 2].text());
      if (!id || !due_ms || !row) return unexpected("a row of `later`");
      due.rows.push_back({*id, *due_ms, row->attempts, row->accepted_ms, std::string{row->ledger},
                          std::string{row->event}, by_attempt(row->token)});
    }
    return Answer{std::move(due)};
  }

  Result<Answer> operator()(const Survey&) {
    if (reply.size() != 5 || reply[3].size() % 3 != 0) return unexpected("survey");
    Surveyed surveyed;
    if (reply[4].text() != "0") surveyed.next = reply[4].text();
    auto& counts = surveyed.counts;
    std::int64_t* const fields[] = {&counts.accepted,  &counts.open, &counts.later,
                                    &counts.succeeded, &counts.dead, &counts.expired,
                                    &counts.cancelled};
    for (std::size_t i = 0; i < std::min(std::size(fields), reply[0].size()); ++i) {
      *fields[i] = parse_number<std::int64_t>(reply[0][i].text()).value_or(0);
    }
    if (!reply[1].is_nil()) surveyed.next_due_ms = parse_number<std::int64_t>(reply[1].text());
    for (std::size_t i = 0; i < reply[2].size(); ++i) {
      surveyed.lanes.push_back(Lane{static_cast<std::uint16_t>(reply[2][i].integer())});
    }
    for (std::size_t i = 0; i < reply[3].size(); i += 3) {
      auto id = protocol::parse_event_id(reply[3][i].text());
      const auto due_ms = parse_number<std::int64_t>(reply[3][i + 2].text());
      if (!id || !due_ms) return unexpected("who keeps an ordering key");
      surveyed.holders.push_back({*id, std::string{reply[3][i + 1].text()}, *due_ms});
    }
    std::ranges::sort(surveyed.holders, {}, &Surveyed::Holder::id);
    return Answer{std::move(surveyed)};
  }

  Result<Answer> operator()(const CountOutboxes& call) {
    if (!reply.is_array() || reply.size() != call.functions.size()) return unexpected("counts");
    OutboxCounts counts;
    for (std::size_t i = 0; i < reply.size(); ++i) {
      counts.entries.push_back(static_cast<std::uint64_t>(reply[i].integer()));
    }
    return Answer{std::move(counts)};
  }

  Result<Answer> operator()(const ReadOutbox&) {
    if (reply.size() % 3 != 1) return unexpected("an outbox");
    OutboxPage page;
    page.more = reply[0].integer() != 0;
    for (std::size_t i = 1; i < reply.size(); i += 3) {
      auto id = protocol::parse_entry_id(reply[i].text());
      if (!id) return unexpected("an outbox entry");
      page.entries.push_back(
          {*id, std::string{reply[i + 1].text()}, std::string{reply[i + 2].text()}});
    }
    return Answer{std::move(page)};
  }

  Result<Answer> operator()(const SetSchedule&) {
    if (reply.size() != 2) return unexpected("a schedule's revision");
    return Answer{
        ScheduleSet{reply[0].integer() != 0, static_cast<std::uint64_t>(reply[1].integer())}};
  }

  Result<Answer> operator()(const Fire&) {
    if (reply.size() != 2 || reply[0].integer() < 0 || reply[0].integer() > 3) {
      return unexpected("what became of a fire");
    }
    return Answer{
        Fired{static_cast<Fired::Outcome>(reply[0].integer()), std::string{reply[1].text()}}};
  }

  Result<Answer> operator()(const ListSchedules&) {
    if (reply.size() % 3 != 2) return unexpected("schedules");
    ScheduleList list;
    if (reply[0].text() != "0") list.next = reply[0].text();
    list.revision = static_cast<std::uint64_t>(reply[1].integer());
    for (std::size_t i = 2; i < reply.size(); i += 3) {
      const std::string_view definition = reply[i + 1].text();
      const auto blank = definition.find(' ');
      const auto revision = parse_number<std::uint64_t>(definition.substr(0, blank));
      if (!revision || blank == definition.npos) return unexpected("a schedule's definition");
      list.items.push_back({std::string{reply[i].text()}, std::string{definition.substr(blank + 1)},
                            std::string{reply[i + 2].text()}, *revision});
    }
    return Answer{std::move(list)};
  }

  Result<Answer> operator()(const GetRevision&) {
    return Answer{Revision{static_cast<std::uint64_t>(reply.integer())}};
  }

  Result<Answer> operator()(const SetTopics&) { return Answer{TopicsSet{reply.integer() == -1}}; }

  Result<Answer> operator()(const ListTopics&) {
    if (reply.size() % 2 != 1) return unexpected("topics");
    TopicList list;
    if (reply[0].text() != "0") list.next = reply[0].text();
    for (std::size_t i = 1; i < reply.size(); i += 2) {
      list.items.push_back({std::string{reply[i].text()}, std::string{reply[i + 1].text()}});
    }
    return Answer{std::move(list)};
  }

  Result<Answer> operator()(const Find& call) {
    Found found;
    const std::string_view place = reply[0].text();
    if (place == "ended") {
      found.place = Found::Place::kEnded;
      found.status = protocol::peek_status(reply[1].text());
    } else if (place == "later") {
      const auto due_ms = parse_number<std::int64_t>(reply[1].text());
      auto row = view_later_row(reply[2].text());
      if (!due_ms || !row) return unexpected("a row of `later`");
      found.place = Found::Place::kLater;
      found.row = {call.id,
                   *due_ms,
                   row->attempts,
                   row->accepted_ms,
                   std::string{row->ledger},
                   std::string{row->event},
                   by_attempt(row->token)};
    } else if (place == "journal") {
      const auto size = static_cast<std::size_t>(reply[3].integer());
      const auto slot = static_cast<std::size_t>(reply[2].integer());
      if (reply.size() != 5 || slot >= size || size > protocol::kChunkEventsMax) {
        return unexpected("an entry");
      }
      found.place = Found::Place::kJournal;
      found.lane = Lane{static_cast<std::uint16_t>(reply[1].integer())};
      found.slot = static_cast<std::uint8_t>(slot);
      found.entry_size = static_cast<std::uint16_t>(size);
      found.packed_event = reply[4].text();
    } else if (place != "nowhere") {
      return unexpected("find");
    }
    return Answer{std::move(found)};
  }

  Result<Answer> operator()(const Recall&) {
    if (!reply.is_array() || reply.size() % 2 != 0) return unexpected("recall");
    std::vector<std::pair<EntryId, std::string_view>> runs;
    for (std::size_t i = 0; i < reply.size(); i += 2) {
      auto entry = protocol::parse_entry_id(reply[i].text());
      if (!entry) return unexpected("recall");
      runs.emplace_back(*entry, reply[i + 1].text());
    }
    std::ranges::sort(runs);
    Recalled recalled;
    for (const auto& [entry, packed] : runs) recalled.packed_runs.append(packed);
    return Answer{std::move(recalled)};
  }

  Result<Answer> operator()(const ListFunctions&) {
    FunctionList list;
    for (std::size_t i = 0; i + 1 < reply.size(); i += 2) {
      auto function = unpack_registered(reply[i].text(), reply[i + 1].text());
      if (!function) return function.error();
      list.functions.push_back(std::move(*function));
    }
    std::ranges::sort(list.functions, {}, &Registered::name);
    return Answer{std::move(list)};
  }
  Result<Answer> operator()(const Deploy&) {
    if (reply.size() != 2) return unexpected("deploy");
    return Answer{
        Deployed{static_cast<std::uint64_t>(reply[0].integer()), reply[1].integer() != 0}};
  }
  Result<Answer> operator()(const ListGenerations&) {
    if (!reply.is_array() || reply.size() % 6 != 0) return unexpected("generations");
    GenerationList list;
    for (std::size_t i = 0; i < reply.size(); i += 6) {
      Generation one;
      const auto generation = parse_number<std::uint64_t>(reply[i].text());
      const auto deployed_ms = parse_number<std::int64_t>(reply[i + 1].text());
      const auto from = parse_number<std::uint64_t>(reply[i + 2].text());
      if (!generation || !deployed_ms || !from) return unexpected("a generation");
      list.items.push_back({*generation, *deployed_ms, *from, std::string{reply[i + 3].text()},
                            std::string{reply[i + 4].text()}, reply[i + 5].integer() != 0});
    }
    return Answer{std::move(list)};
  }
  Result<Answer> operator()(const Remove&) { return Answer{Removed{reply.integer() != 0}}; }
  Result<Answer> operator()(const DropPackage&) {
    return Answer{PackageDropped{reply.integer() != 0}};
  }
  Result<Answer> operator()(const SetState&) { return Answer{StateSet{reply.integer() != 0}}; }
  Result<Answer> operator()(const Meter&) {
    if (reply.type() != Type::kInteger) return unexpected("meter");
    return Answer{Metered{reply.integer() != 0}};
  }
  Result<Answer> operator()(const NoteWorker&) { return Answer{Noted{}}; }
  Result<Answer> operator()(const ListWorkers&) {
    WorkerList list;
    for (std::size_t i = 0; i < reply.size(); ++i) list.names.emplace_back(reply[i].text());
    std::ranges::sort(list.names);
    return Answer{std::move(list)};
  }
  Result<Answer> operator()(const GetRows& call) { return decode_rows(call, reply); }
  Result<Answer> operator()(const ListRows& call) { return decode_rows(call, reply); }
  Result<Answer> operator()(const WriteRows& call) { return decode_rows(call, reply); }
};

}  // namespace

Result<Answer> decode(const Call& call, const RedisReply& reply, const Fetching* fetched) {
  return std::visit(Decoder{reply, fetched}, call);
}

}  // namespace fanfare::store
