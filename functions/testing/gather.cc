// Takes batches. Each event's data says what becomes of it: "fail" fails it alone, "throw" fails
// its whole batch, "abort" ends the process, "row" reads the row "k" of the store and writes it,
// "call" invokes the function `calls`; everything else succeeds and says how many came together.

#include <fanfare/batch.h>

#include <cstdlib>
#include <stdexcept>

FANFARE_BATCH_FUNCTION(std::span<const fanfare::Event> events, fanfare::Context& context) {
  fanfare::BatchOutput output(events.size());
  context.log(fanfare::Level::kInfo, std::to_string(events.size()) + " events");
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (events[i].data == "abort") std::abort();
    if (events[i].data == "throw") throw std::runtime_error("the whole batch");
    if (events[i].data == "row") {
      output.set(i, context.store().get("k").value_or("none"));
      context.store().put("k", "v");
    } else if (events[i].data == "call") {
      output.set(i, context.invoke("calls", "event"));
    } else if (events[i].data == "fail") {
      output.fail(i, fanfare::Failure{"Alone", "this one"}.retryable(false));
    } else if (events[i].data != "silent") {
      output.set(i, std::string(events[i].data) + " of " + std::to_string(events.size()));
    }
  }
  return output;
}
