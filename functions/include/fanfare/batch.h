// For functions that handle many events in one call. A complete one:
//
//   #include <fanfare/batch.h>
//
//   FANFARE_BATCH_FUNCTION(std::span<const fanfare::Event> events, fanfare::Context& context) {
//     fanfare::BatchOutput output(events.size());
//     for (std::size_t i = 0; i < events.size(); ++i) {
//       if (events[i].data.empty()) output.fail(i, {"Empty", "nothing to insert"});
//     }
//     insert_all(events, output);
//     return output;
//   }
//
// function.toml says how many events a call gets: batch.size, and batch.window for how long they
// are gathered. A call may get fewer, also one. Each event has its own attempt, result, failure and
// retry: what is marked with fail() fails, the rest succeeds. Throwing fails all of them, and so
// does a crash or a timeout; after those each is tried again alone, so that the one that is to
// blame does not take the others along.
#pragma once

#include <fanfare/function.h>

#include <span>

namespace fanfare::abi {

// How a batch handler answers: once per event, by its index; bytes are copied before it returns.
struct BatchAnswer {
  void* host;
  void (*output)(void* host, std::size_t index, Text content_type, Text data);
  void (*failure)(void* host, std::size_t index, Text type, Text message, std::uint32_t flags,
                  std::int64_t retry_after_ms);
};

using HandleBatchFn = void(const Event* events, std::size_t count, const Context*,
                           const BatchAnswer*);

}  // namespace fanfare::abi

namespace fanfare {

// What became of the events of a batch, by their index. An event that is not mentioned succeeded
// and has no output.
class BatchOutput {
 public:
  explicit BatchOutput(std::size_t events) : outputs_(events) {}

  // Both throw std::out_of_range for an index that no event has.
  void set(std::size_t index, Output output) { outputs_.at(index) = std::move(output); }
  void fail(std::size_t index, Failure failure) { set(index, Output(std::move(failure))); }

  std::size_t size() const { return outputs_.size(); }
  const Output& operator[](std::size_t index) const { return outputs_[index]; }

 private:
  std::vector<Output> outputs_;
};

namespace detail {

// A batch's answer as one event's.
struct OneOfBatch {
  const abi::BatchAnswer* batch;
  std::size_t index;

  abi::Answer answer() {
    return {.host = this,
            .output =
                [](void* host, abi::Text content_type, abi::Text data) {
                  const auto& me = *static_cast<OneOfBatch*>(host);
                  me.batch->output(me.batch->host, me.index, content_type, data);
                },
            .failure =
                [](void* host, abi::Text type, abi::Text message, std::uint32_t flags,
                   std::int64_t retry_after_ms) {
                  const auto& me = *static_cast<OneOfBatch*>(host);
                  me.batch->failure(me.batch->host, me.index, type, message, flags, retry_after_ms);
                }};
  }
};

template <typename Handler>
void handle_batch(Handler* handler, const abi::Event* in, std::size_t count,
                  const abi::Context& about, const abi::BatchAnswer& answer) noexcept {
  try {
    std::vector<Event> events;
    events.reserve(count);
    for (std::size_t i = 0; i < count; ++i) events.push_back(event_of(in[i]));
    Context context(about, count > 0 ? events[0].id : std::string_view{});
    const std::span<const Event> all(events);
    const BatchOutput output = [&]() -> BatchOutput {
      if constexpr (std::is_invocable_v<Handler*, std::span<const Event>, Context&>) {
        return handler(all, context);
      } else {
        return handler(all);
      }
    }();
    if (output.size() != count) {
      throw Failure{"BatchMismatch", "the handler answered for " + std::to_string(output.size()) +
                                         " events, but got " + std::to_string(count)}
          .retryable(false);
    }
    for (std::size_t i = 0; i < count; ++i) {
      OneOfBatch one{&answer, i};
      if (output[i].failure()) {
        answer_failure(one.answer(), *output[i].failure());
      } else {
        answer.output(answer.host, i, text(output[i].content_type()), text(output[i].data()));
      }
    }
  } catch (...) {
    for (std::size_t i = 0; i < count; ++i) {
      OneOfBatch one{&answer, i};
      answer_current_exception(one.answer());
    }
  }
}

// One event, as a batch of one.
template <typename Handler>
void handle_alone(Handler* handler, const abi::Event& event, const abi::Context& context,
                  const abi::Answer& answer) noexcept {
  const abi::BatchAnswer batch{
      .host = const_cast<abi::Answer*>(&answer),
      .output =
          [](void* host, std::size_t, abi::Text content_type, abi::Text data) {
            const auto& one = *static_cast<abi::Answer*>(host);
            one.output(one.host, content_type, data);
          },
      .failure =
          [](void* host, std::size_t, abi::Text type, abi::Text message, std::uint32_t flags,
             std::int64_t retry_after_ms) {
            const auto& one = *static_cast<abi::Answer*>(host);
            one.failure(one.host, type, message, flags, retry_after_ms);
          }};
  handle_batch(handler, &event, 1, context, batch);
}

}  // namespace detail
}  // namespace fanfare

// The handler: FANFARE_BATCH_FUNCTION(std::span<const fanfare::Event> events,
// fanfare::Context& context) { … }. The context may be left out; its attempt and event id are those
// of the first event. The body returns a fanfare::BatchOutput.
#define FANFARE_BATCH_FUNCTION(...)                                                           \
  static ::fanfare::BatchOutput fanfare_user_handler(__VA_ARGS__);                            \
  FANFARE_EXPORT const std::uint32_t fanfare_abi_version;                                     \
  const std::uint32_t fanfare_abi_version = ::fanfare::abi::kStamp;                           \
  FANFARE_EXPORT void fanfare_function_handle(const ::fanfare::abi::Event* event,             \
                                              const ::fanfare::abi::Context* context,         \
                                              const ::fanfare::abi::Answer* answer) {         \
    ::fanfare::detail::handle_alone(&fanfare_user_handler, *event, *context, *answer);        \
  }                                                                                           \
  FANFARE_EXPORT void fanfare_function_handle_batch(                                          \
      const ::fanfare::abi::Event* events, std::size_t count,                                 \
      const ::fanfare::abi::Context* context, const ::fanfare::abi::BatchAnswer* answer) {    \
    ::fanfare::detail::handle_batch(&fanfare_user_handler, events, count, *context, *answer); \
  }                                                                                           \
  static ::fanfare::BatchOutput fanfare_user_handler(__VA_ARGS__)
