#include "functions/testing/function_runner.h"

#include <poll.h>
#include <signal.h>

#include <array>
#include <chrono>
#include <utility>

namespace fanfare::testing {
namespace {

using namespace std::chrono_literals;
using namespace worker;

// Long enough for a loaded machine; reached only when something is wrong.
constexpr auto kPatience = 30s;

bool readable(int fd, int other = -1) {
  std::array<pollfd, 2> watched{pollfd{fd, POLLIN, 0}, pollfd{other, POLLIN, 0}};
  const auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(kPatience);
  return ::poll(watched.data(), watched.size(), static_cast<int>(patience.count())) > 0;
}

std::int64_t now_ms() {
  return to_ms(std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()));
}

}  // namespace

std::optional<ZygoteEvent> FunctionRunner::next_event() {
  if (events_.empty() && readable(zygote_->control_fd())) events_ = zygote_->take_events();
  if (events_.empty()) return std::nullopt;
  ZygoteEvent event = std::move(events_.front());
  events_.erase(events_.begin());
  return event;
}

Result<std::unique_ptr<FunctionRunner>> FunctionRunner::start(
    const std::string& path, std::vector<std::pair<std::string, std::string>> env) {
  return start(ZygoteOptions{.program = FANFARE_INSTANCE_PROGRAM,
                             .function = "under-test",
                             .handler = path,
                             .env = std::move(env)});
}

Result<std::unique_ptr<FunctionRunner>> FunctionRunner::start(const ZygoteOptions& options) {
  auto zygote = ZygoteClient::start(options);
  if (!zygote) return zygote.error();
  std::unique_ptr<FunctionRunner> runner(new FunctionRunner(std::move(*zygote)));
  const auto event = runner->next_event();
  if (!event) return fatal("the zygote says nothing");
  if (const auto* failed = std::get_if<ZygoteInitFailed>(&*event)) {
    return reject(failed->failure.type + ": " + failed->failure.message);
  }
  if (!std::holds_alternative<ZygoteReady>(*event)) return fatal("the zygote is not ready");
  return runner;
}

// Answers what the handler waits for.
void FunctionRunner::serve_store() {
  const auto request = instance_->take_row_request();
  if (!request) return;
  const auto rows =
      request->kind == RowRequest::Kind::kGet
          ? store_.get({"under-test", now_ms(), {request->key}})
          : store_.list({"under-test", now_ms(), request->key, request->after, request->rows_max});
  (void)instance_->send_rows(request->number, rows);
}

void FunctionRunner::serve_invocation() {
  const auto request = instance_->take_invoke_request();
  if (!request) return;
  (void)instance_->send_invoked(
      request->number,
      invoked ? invoked(*request) : InvokeAnswer::refused("unavailable", "nobody answers here"));
}

void FunctionRunner::fork() {
  auto forked = zygote_->fork();
  if (!forked) return;
  instance_ = std::move(*forked);
  while (const auto event = next_event()) {
    if (auto* answer = const_cast<Forked*>(std::get_if<Forked>(&*event))) {
      return instance_->forked(answer->pid, std::move(answer->pidfd));
    }
  }
}

ItemResult FunctionRunner::run(std::string type, std::string data) {
  protocol::Event event;
  event.source = "/tests";
  event.type = std::move(type);
  event.data = std::move(data);
  return run(event);
}

ItemResult FunctionRunner::run(const protocol::Event& event, std::uint32_t attempt, bool together) {
  if (!instance_) fork();
  const std::string packed = protocol::pack(event);
  const Item item{.id = {.entry = {.ms = 1, .seq = ++runs_}, .index = 0},
                  .attempt = attempt,
                  .timeout = 30s,
                  .packed_event = packed,
                  .together = together};
  ItemResults results;
  if (instance_->send(std::array{item})) {
    while (results.empty() && readable(instance_->channel_fd(), instance_->pidfd())) {
      if (!instance_->take_results(results)) break;
      serve_store();
      serve_invocation();
    }
  }
  if (!results.empty()) {
    for (const Asked& asked : results[0].asked) {
      if (asked.kind == Asked::Kind::kWriteRows) store_.write(asked.bytes, now_ms(), {});
    }
    return std::move(results[0]);
  }

  ItemResult ended;
  instance_->kill_group(SIGKILL);
  readable(instance_->pidfd());
  ended.log_tail = instance_->unfinished_log_tail().text;
  if (const auto ending = instance_->reap()) {
    NamedEnding named = name_ending(*ending, StopReason::kNone, {});
    ended.outcome = named.outcome;
    ended.failure = std::move(named.failure);
  }
  instance_.reset();
  return ended;
}

}  // namespace fanfare::testing
