// Answers with what it can see of its event, its context and its process.

#include <fanfare/function.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

namespace {
int inits = 0, starts = 0;
}  // namespace

FANFARE_INIT {
  ++inits;
}

FANFARE_START {
  if (fanfare::Context::env("FAIL_START")) throw std::runtime_error("no database there");
  ++starts;
}

FANFARE_FUNCTION(const fanfare::Event& event, fanfare::Context& context) {
  using namespace std::chrono_literals;
  return fanfare::Output::object(
      {{"id", event.id},
       {"ce_id", event.ce_id},
       {"source", event.source},
       {"type", event.type},
       {"subject", event.subject},
       {"time", event.time},
       {"content_type", event.content_type},
       {"data_schema", event.data_schema},
       {"data", event.data},
       {"extensions", event.extensions.size()},
       {"traceparent", event.extension("traceparent").value_or("none")},
       {"function", context.function()},
       {"event_id", context.event_id()},
       {"attempt", context.attempt()},
       {"has_time", context.remaining() > 20s && context.remaining() <= 30s},
       {"setting", fanfare::Context::env("SETTING").value_or("none")},
       {"secret", fanfare::Context::env("FANFARE_TEST_SECRET").value_or("none")},
       {"inits", inits},
       {"starts", starts},
       {"rand", std::rand()},
       {"random", ::random()},
       {"drand48", ::drand48()},
       {"pid", ::getpid()}});
}
