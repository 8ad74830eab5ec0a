#include "protocol/samples.h"

#include "protocol/row_writes.h"

namespace fanfare::protocol::samples {
namespace {

constexpr EventId kId{{1795444620125, 3}, 7};
constexpr AttemptToken kToken{(5u << 12) | 42u};
constexpr std::uint64_t kRelayed =
    (std::uint64_t{1} << 62) + 1;  // requests to Redis through the broker
const std::string kClient = "00112233445566778899aabbccddeeff";
const std::string kDigest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

Delivery delivery() {
  return {.id = kId,
          .slot = 2,
          .entry_size = 5,
          .lane = lane_of(4, ""),
          .origin = Origin::kJournal,
          .token = kToken,
          .attempt = 1,
          .accepted_ms = 1795444620125,
          .packed_ledger = "",
          .packed_event = pack(minimal_event())};
}

FunctionSpec wordcount() {
  return {"wordcount", "timeout = \"5s\"\n[[on]]\npattern = '{\"type\":[\"text.submitted\"]}'\n",
          kDigest, 3};
}

FunctionSpec candidate() {
  FunctionSpec spec = wordcount();
  spec.generation = 0;
  return spec;
}

Failure cannot_load() {
  return {.type = "LoadError", .message = "libwords.so.2: cannot open shared object file"};
}

Done done() {
  Done::Committed ok{.function = "wordcount", .entry = kId.entry, .packed = {}};
  ok.add(kId.index, kToken);
  Done::Row failed{.function = "wordcount",
                   .id = {kId.entry, 8},
                   .token = {kToken.value + 1},
                   .outcome = Outcome::kFunctionError,
                   .final_status = Status::kFailed,
                   .failure = {"ValidationError", "email is missing", false, 1500}};
  append_row(failed.packed_row, failed_row());
  failed.log_tail = "checking the form\n";
  return {9, {failed}, {ok}, {"wordcount"}};
}

Commit commit() {
  std::string writes;
  append_write(writes, {RowWrite::Kind::kIncrement, "total", "3", 0});
  return {kRelayed,
          "wordcount",
          86400000,
          {{kId.entry,
            lane_of(4, ""),
            Origin::kJournal,
            5,
            {{kId.index,
              2,
              kToken,
              pack(succeeded_result()),
              {{"store-form", pack(nested_event())}},
              Commit::Rows{1795444621131, 1000000, 1073741824, writes}}}}}};
}

}  // namespace

Event minimal_event() {
  Event event;
  event.source = "/forms/contact";
  event.type = "form.submitted";
  event.content_type = "application/json";
  event.data = R"({"name":"Ada"})";
  return event;
}

// What an invocation of a function by another function carries.
Event nested_event() {
  Event event;
  event.source = "/functions/store-form";
  event.type = "function.invoked";
  event.subject = to_string(kId);
  event.data = "count me";
  event.options.generation = 1;
  event.options.tenant = "acme";
  return event;
}

Event full_event() {
  Event event = minimal_event();
  event.subject = "contact/ü";
  event.id = "order-7";
  event.time = "2026-11-23T14:37:00.125Z";
  event.data_schema = "https://example.org/contact.json";
  event.extensions = {{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
                      {"region", "north"}};
  event.options = {.deliver_at = 1795444680000,
                   .delay = 60000,
                   .expires_at = 1795448220000,
                   .max_age = 3600000,
                   .priority = 7,
                   .ordering_key = "customer-12",
                   .tenant = "acme",
                   .idempotency_key = "3f1c"};
  return event;
}

AttemptRow failed_row() {
  return {.number = 1,
          .outcome = Outcome::kFunctionError,
          .started_ms = 1795444620130,
          .duration_us = 1250,
          .cold_start = true,
          .cold_start_us = 870,
          .peak_memory_kb = 4096,
          .worker = "host-1",
          .instance = 4711,
          .error_type = "ValidationError",
          .error_message = "email is missing",
          .generation = 7};
}

AttemptRow ok_row() {
  return {.number = 2,
          .outcome = Outcome::kOk,
          .started_ms = 1795444621130,
          .duration_us = 480,
          .peak_memory_kb = 4100,
          .worker = "host-1",
          .instance = 4712,
          .error_type = "",
          .error_message = "",
          .generation = 8};
}

ResultRecord succeeded_result() {
  ResultRecord record;
  record.output = R"({"words":3})";
  record.content_type = "application/json";
  append_row(record.ledger, failed_row());
  append_row(record.ledger, ok_row());
  record.log_tail = "counted\n";
  record.accepted_ms = 1795444620125;
  record.ended_ms = 1795444621131;
  record.memory_limit_mb = 256;
  return record;
}

ResultRecord failed_result() {
  ResultRecord record;
  record.status = Status::kFailed;
  record.error_type = "ValidationError";
  record.error_message = "email is missing";
  append_row(record.ledger, failed_row());
  record.accepted_ms = 1795444620125;
  record.ended_ms = 1795444620132;
  record.memory_limit_mb = 256;
  record.reason = DeadReason::kNotRetryable;
  return record;
}

std::vector<std::pair<std::string, Message>> messages() {
  using Fate = PublishRun::Fate;
  return {
      {"publish", Publish{kClient, 1, false, {pack(minimal_event())}}},
      {"published", Published{1,
                              {{Fate::kAccepted, kId, 2, 0}, {Fate::kRefused, {}, 1, 0}},
                              {{"store-form", "wordcount"}},
                              {{Refusal::kTooLarge, "data is over 1048576 bytes"}}}},
      {"invoke", Invoke{7, "wordcount", 30000, pack(minimal_event())}},
      {"invoke_nested", Invoke{(1ull << 63) + 7, "wordcount", 1500, pack(nested_event())}},
      {"invoked", Invoked{7, pack(failed_result())}},
      {"await", Await{8, kId, "wordcount", 30000}},
      {"awaited", Awaited{8, {"wordcount"}, {"store-form"}}},
      {"admin", Admin{9, "describe", R"({"name":"wordcount"})"}},
      {"admin_reply", AdminReply{9, "{}"}},
      {"refused", Refused{7, Refusal::kNoSuchFunction, "no function named worcount"}},
      {"hello", Hello{"host-1",
                      "8c5f2a1e",
                      4242,
                      123456,
                      4,
                      {{"wordcount", kId, kToken}},
                      WorkerState::kQuiet,
                      true,
                      {"native"},
                      "0.1.0",
                      true,
                      true}},
      {"welcome", Welcome{1, 5, 2000, 30000, {wordcount()}, 64, 16777216, 2}},
      {"functions", Functions{{wordcount()}}},
      {"credit", Credit{{{"wordcount", 512, true}}}},
      {"deliver", Deliver{"wordcount", {delivery()}, true}},
      {"done", done()},
      {"heartbeat", Heartbeat{1,
                              17,
                              {{"wordcount", 2, 1, 30}},
                              {{"wordcount", kId, kToken, 4200, 420000, "page 3 of 7"}},
                              WorkerState::kQuiet,
                              1,
                              {{"wordcount", 7, cannot_load()}},
                              {{"wordcount", 1200, 1, 2}}}},
      {"heartbeat_ack", HeartbeatAck{1, 9}},
      {"bye", Bye{1}},
      {"reset", Reset{}},
      {"cancel", Cancel{{{"wordcount", kId, kToken}}}},
      {"quiet", Quiet{true}},
      {"commit", commit()},
      {"committed", Committed{kRelayed, std::string(1, '\1')}},
      {"read_rows", ReadRows{kRelayed, "wordcount", 1795444620125, {"total"}, "", "", 0}},
      {"read_rows_list", ReadRows{kRelayed, "wordcount", 1795444620125, {}, "day:", "day:7", 100}},
      {"rows_read", RowsRead{kRelayed, {{"day:8", "12", 1795448220000}}, "day:8"}},
      {"tell_usage", TellUsage{kRelayed,
                               "host-1:4242:123456",
                               17,
                               7776000000,
                               1000,
                               {{498734, "wordcount", "acme", 12, 1, 15, 3840, 4100}}}},
      {"usage_told", UsageTold{kRelayed, true}},
      {"fetch_package", FetchPackage{kRelayed, kDigest, 1048576}},
      {"package_part", PackagePart{kRelayed, 1048583, "the end"}},
      {"prepare", Prepare{candidate(), false, 3}},
      {"prepared", Prepared{1, "wordcount", candidate().digest, 3, std::nullopt, ""}},
      {"prepared_not",
       Prepared{1, "wordcount", candidate().digest, 3, cannot_load(), "looking for words\n"}},
      {"journaled", Journaled{{kId.entry}, {{kId.entry.ms, kId.entry.seq + 1}}}},
      {"local", Local{{"wordcount"}, 1048576}},
  };
}

std::vector<std::pair<std::string, std::string>> golden_bytes() {
  std::vector<std::pair<std::string, std::string>> golden;
  for (const auto& [name, message] : messages()) golden.emplace_back(name, encode(message));
  golden.emplace_back("event_minimal", pack(minimal_event()));
  golden.emplace_back("event_full", pack(full_event()));
  std::string row;
  append_row(row, failed_row());
  golden.emplace_back("attempt_row", row);
  golden.emplace_back("result_succeeded", pack(succeeded_result()));
  golden.emplace_back("result_failed", pack(failed_result()));
  return golden;
}

}  // namespace fanfare::protocol::samples
