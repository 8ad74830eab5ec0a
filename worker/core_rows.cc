// Functions' stores: what instances read, on its way to Redis and back, and writes that cannot be
// kept.
#include <algorithm>

#include "store/encode.h"
#include "worker/core.h"

namespace fanfare::worker {
namespace {

constexpr Duration kAgainFirst = std::chrono::milliseconds{20};
constexpr Duration kAgainMax = std::chrono::seconds{1};

}  // namespace

bool writes_rows(std::span<const Asked> asked) {
  return std::ranges::any_of(asked,
                             [](const Asked& one) { return one.kind == Asked::Kind::kWriteRows; });
}

bool publishes(const store::Effects& effects) {
  return std::ranges::any_of(effects, [](const store::Effect& effect) {
    return std::holds_alternative<store::Publish>(effect);
  });
}

std::size_t count_writes(const store::Effects& effects) {
  std::size_t count = 0;
  for (const store::Effect& effect : effects) {
    const auto* rows = std::get_if<store::RowWrites>(&effect);
    const auto size = rows ? protocol::check_writes(rows->packed) : protocol::RowWritesSize{};
    count += rows && size ? size->writes : 1;
  }
  return count;
}

// Whose rows are read is the worker's knowledge, never the instance's word.
void Core::on_rows_asked(InstanceId id, const RowRequest& request, Now now) {
  const Instance* instance = instance_of(id);
  if (!instance || instance->gone) return;
  const std::string& function = instance->function->spec.name;
  const std::int64_t now_ms = to_ms(now.wall);
  Read read{.instance = id, .number = request.number, .call = {}, .failures = 0, .again_at = {}};
  if (request.kind == RowRequest::Kind::kGet) {
    read.call = store::GetRows{function, now_ms, {request.key}};
  } else {
    read.call = store::ListRows{function, now_ms, request.key, request.after, request.rows_max};
  }
  if (auto fine = store::check(read.call); !fine) {
    ++counters_.row_reads_refused;
    return effects_.give_rows(id, request.number, fine.error());
  }
  ++counters_.row_reads;
  const ReadId read_id{next_read_++};
  const Read& held = reads_.emplace(read_id, std::move(read)).first->second;
  effects_.read_rows(read_id, held.call);
}

void Core::on_rows(ReadId id, Result<store::Answer> answer, Now now) {
  const auto at = reads_.find(id);
  if (at == reads_.end()) return;  // its instance has ended
  Read& read = at->second;
  if (!answer && answer.error().kind != ErrorKind::kReject) {
    // The attempt waits, up to its own deadline.
    const auto pause = kAgainFirst * (1 << std::min(read.failures++, 10u));
    read.again_at = now.steady + std::min<Duration>(pause, kAgainMax);
    return due(*read.again_at);
  }
  Result<store::Rows> rows = reject("Redis answered a read of rows with something else");
  if (!answer) {
    ++counters_.row_reads_refused;
    rows = reject("Redis cannot read these rows: " + answer.error().message);
  } else if (auto* found = std::get_if<store::Rows>(&*answer)) {
    rows = std::move(*found);
  }
  const Read done = std::move(read);
  reads_.erase(at);
  effects_.give_rows(done.instance, done.number, rows);
}

void Core::repeat_reads(Now now) {
  for (auto& [id, read] : reads_) {
    if (!read.again_at) continue;
    if (*read.again_at > now.steady) {
      due(*read.again_at);
      continue;
    }
    read.again_at.reset();
    effects_.read_rows(id, read.call);
  }
}

void Core::forget_reads(InstanceId instance) {
  std::erase_if(reads_, [&](const auto& entry) { return entry.second.instance == instance; });
}

// The attempt ran well, but what it wants to keep cannot be kept: its function's own failure, and
// nothing of it was written.
void Core::fail_writer(Flight& flight, Held& held, protocol::AttemptRow row, store::Verdict why,
                       Now now) {
  const protocol::Manifest& manifest = held.function->manifest;
  protocol::Failure failure{.type = "NotANumber",
                            .message =
                                "increment() met a row that holds no whole number within "
                                "±9007199254740991; nothing was written",
                            .retryable = true,
                            .retry_after_ms = {}};
  if (why == store::Verdict::kStoreFull) {
    ++counters_.row_writes_full;
    failure = {.type = "StoreFull",
               .message = "the function's store may hold " +
                          std::to_string(manifest.store_max_rows) + " rows and " +
                          std::to_string(manifest.store_max_bytes) +
                          " bytes (store.max_rows, store.max_bytes); nothing was written",
               .retryable = true,
               .retry_after_ms = {}};
  } else {
    ++counters_.row_writes_not_numbers;
  }
  row.outcome = protocol::Outcome::kFunctionError;
  row.error_type = failure.type;
  row.error_message = failure.message;
  conclude(held, row, now);

  protocol::Done::Row done;
  done.outcome = row.outcome;
  done.final_status = protocol::Status::kFailed;
  protocol::append_row(done.packed_row, row);
  if (flight.invoked) {
    if (auto record = protocol::unpack_result(flight.invoked->record)) {
      record->status = protocol::Status::kFailed;
      record->output.clear();
      record->content_type.clear();
      record->error_type = failure.type;
      record->error_message = failure.message;
      record->ledger = std::string(held.packed_ledger) + done.packed_row;
      done.record = protocol::pack(*record);
    }
    flight.invoked.reset();
  }
  done.failure = std::move(failure);
  report_done(held, std::move(done));
}

}  // namespace fanfare::worker
