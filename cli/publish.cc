// fanfare publish: one event, or (publish_lines.cc) one per line of standard input.
#include "cli/event_input.h"
#include "cli/publish_event.h"
#include "cli/publish_lines.h"
#include "cli/verbs.h"

namespace fanfare::cli {

int run_publish(const Common& common, const PublishCommand& command) {
  if (command.lines) return run_publish_lines(common, command);
  const auto event = make_event(command.event);
  if (!event) return fail(common.output, event.error());
  auto broker = connect_broker(common.address);
  if (!broker) return fail(common.output, broker.error());
  return publish_event(common, **broker, *event, command.wait);
}

}  // namespace fanfare::cli
