// fanfare invoke: runs a function once, now, and prints what it returns.
#include <fmt/format.h>

#include <cstdio>

#include "cli/event_input.h"
#include "cli/result_view.h"
#include "cli/verbs.h"

namespace fanfare::cli {
namespace {

void print_log(const protocol::ResultRecord& record) {
  std::fwrite(record.log_tail.data(), 1, record.log_tail.size(), stderr);
  if (!record.log_tail.empty() && record.log_tail.back() != '\n') std::fputc('\n', stderr);
}

}  // namespace

int run_invoke(const Common& common, const InvokeCommand& command) {
  auto event = make_event(command.event);
  if (!event) return fail(common.output, event.error());
  if (event->type.empty()) event->type = "function.invoked";
  auto broker = connect_broker(common.address);
  if (!broker) return fail(common.output, broker.error());
  const auto record = (*broker)->invoke(command.function, *event, command.timeout);
  if (!record) return fail(common.output, record.error());

  if (command.log) print_log(*record);
  const bool succeeded = record->status == protocol::Status::kSucceeded;
  if (common.output.json) {
    print_line(protocol::to_json(*record, {}, command.function));
  } else if (succeeded) {
    std::fwrite(record->output.data(), 1, record->output.size(), stdout);
    if (common.output.colour_out && !record->output.empty() && record->output.back() != '\n') {
      std::fputc('\n', stdout);
    }
  }
  if (succeeded) return kDone;
  print_error(common.output, fmt::format("{} failed: {}: {}", command.function, record->error_type,
                                         record->error_message));
  return kFailed;
}

}  // namespace fanfare::cli
