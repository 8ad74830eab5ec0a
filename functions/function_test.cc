// The parts of <fanfare/function.h> that need no process around them.

#include <fanfare/function.h>
#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

namespace {

using fanfare::Failure;
using fanfare::Output;
using namespace std::chrono_literals;

// What the trampoline hands to the process that runs a function.
struct Answered {
  std::string content_type, data, type, message;
  std::uint32_t flags = 0;
  std::int64_t retry_after_ms = 0;
  int answers = 0;
};

template <typename Handler>
Answered run(Handler* handler) {
  Answered answered;
  const fanfare::abi::Answer answer{
      .host = &answered,
      .output =
          [](void* host, fanfare::abi::Text content_type, fanfare::abi::Text data) {
            auto& got = *static_cast<Answered*>(host);
            got.content_type.assign(content_type.data, content_type.size);
            got.data.assign(data.data, data.size);
            ++got.answers;
          },
      .failure =
          [](void* host, fanfare::abi::Text type, fanfare::abi::Text message, std::uint32_t flags,
             std::int64_t retry_after_ms) {
            auto& got = *static_cast<Answered*>(host);
            got.type.assign(type.data, type.size);
            got.message.assign(message.data, message.size);
            got.flags = flags;
            got.retry_after_ms = retry_after_ms;
            ++got.answers;
          }};
  const fanfare::abi::Event event{};
  const fanfare::abi::Context context{};
  fanfare::detail::handle(handler, event, context, answer);
  EXPECT_EQ(answered.answers, 1);
  return answered;
}

Output returns_text(const fanfare::Event&) {
  return "text";
}
Output returns_bytes(const fanfare::Event&, fanfare::Context&) {
  return Output::bytes(std::string("\0\1", 2), "image/png");
}
Output returns_failure(const fanfare::Event&) {
  return Failure{"Bad", "so bad"}.retryable(false).retry_after(3s);
}
Output throws_failure(const fanfare::Event&) {
  throw Failure{"Bad", "so bad"}.retry_after(3s);
}
Output throws_exception(const fanfare::Event&) {
  throw std::out_of_range("too far");
}
Output throws_nothing_known(const fanfare::Event&) {
  throw "a string";
}
Output runs_out_of_memory(const fanfare::Event&) {
  throw std::bad_alloc();
}

namespace shop {
struct OutOfStock : std::runtime_error {
  using runtime_error::runtime_error;
};
}  // namespace shop
Output throws_own(const fanfare::Event&) {
  throw shop::OutOfStock("no more tea");
}

TEST(Function, AnswersWhatTheHandlerReturns) {
  EXPECT_EQ(run(&returns_text).data, "text");
  EXPECT_EQ(run(&returns_text).content_type, "text/plain; charset=utf-8");
  EXPECT_EQ(run(&returns_bytes).data, std::string("\0\1", 2));
  EXPECT_EQ(run(&returns_bytes).content_type, "image/png");
}

TEST(Function, TreatsAReturnedFailureLikeAThrownOne) {
  const Answered returned = run(&returns_failure);
  EXPECT_EQ(returned.type, "Bad");
  EXPECT_EQ(returned.message, "so bad");
  EXPECT_EQ(returned.flags, fanfare::abi::kHasRetryAfter);
  EXPECT_EQ(returned.retry_after_ms, 3000);
  EXPECT_EQ(run(&throws_failure).flags, fanfare::abi::kHasRetryAfter | fanfare::abi::kRetryable);
}

TEST(Function, NamesExceptionsByTheirType) {
  EXPECT_EQ(run(&throws_exception).type, "std::out_of_range");
  EXPECT_EQ(run(&throws_exception).message, "too far");
  EXPECT_EQ(run(&throws_exception).flags, fanfare::abi::kRetryable);
  EXPECT_EQ(run(&throws_own).type, "(anonymous namespace)::shop::OutOfStock");
  EXPECT_EQ(run(&throws_nothing_known).type, "char const*");
}

TEST(Function, MarksRunningOutOfMemory) {
  EXPECT_NE(run(&runs_out_of_memory).flags & fanfare::abi::kOutOfMemory, 0u);
}

TEST(Function, WritesFlatObjectsAsJson) {
  const std::string text = "it's";
  EXPECT_EQ(Output::object({}).data(), "{}");
  EXPECT_EQ(Output::object({{"int", -3},
                            {"big", 1ull << 63},
                            {"half", 0.5},
                            {"yes", true},
                            {"text", text},
                            {"view", std::string_view("v")},
                            {"literal", "l"}})
                .data(),
            R"({"int":-3,"big":9223372036854775808,"half":0.5,"yes":true,)"
            R"("text":"it's","view":"v","literal":"l"})");
  EXPECT_EQ(Output::object({{"q\"uo\\te", "line\nend\x01"}}).data(),
            "{\"q\\\"uo\\\\te\":\"line\\u000aend\\u0001\"}");
  EXPECT_EQ(Output::object({{"none", std::numeric_limits<double>::infinity()},
                            {"nan", std::numeric_limits<double>::quiet_NaN()}})
                .data(),
            R"({"none":null,"nan":null})");
  EXPECT_EQ(Output::object({}).content_type(), "application/json");
}

TEST(Function, FindsAnExtensionByItsName) {
  fanfare::Event event{};
  event.extensions = {{"traceparent", "00-ab"}, {"partitionkey", "7"}};
  EXPECT_EQ(event.extension("partitionkey"), "7");
  EXPECT_FALSE(event.extension("sequence"));
}

// A host that notes the extensions of what is published.
struct Publisher {
  std::vector<std::string> seen;

  fanfare::abi::Context context() {
    fanfare::abi::Context context{};
    context.host = this;
    context.publish = [](void* host, const fanfare::abi::NewEvent* event) {
      for (std::size_t i = 0; i < event->extension_count; ++i) {
        const auto& [name, value] = event->extensions[i];
        static_cast<Publisher*>(host)->seen.push_back(std::string(name.data, name.size) + "=" +
                                                      std::string(value.data, value.size));
      }
      return fanfare::abi::Text{};
    };
    return context;
  }
};

TEST(Function, PassesItsTraceOnToWhatItPublishes) {
  Publisher host;
  const auto context = host.context();
  fanfare::Context traced(context, "1-0.0", {.traceparent = "00-ab", .tracestate = "x=1"});
  EXPECT_EQ(traced.trace().traceparent, "00-ab");
  EXPECT_EQ(traced.trace().tracestate, "x=1");
  traced.publish({.type = "a"});
  traced.publish({.type = "a", .extensions = {{"traceparent", "00-own"}}});
  fanfare::Context(context, "1-0.0").publish({.type = "a"});
  EXPECT_EQ(host.seen, (std::vector<std::string>{"traceparent=00-ab", "tracestate=x=1",
                                                 "traceparent=00-own"}));
}

TEST(Function, HasTheTraceOfItsEvent) {
  const auto text = [](std::string_view s) { return fanfare::abi::Text{s.data(), s.size()}; };
  const fanfare::abi::Attribute extension{text("traceparent"), text("00-ab")};
  fanfare::abi::Event event{};
  event.extensions = &extension;
  event.extension_count = 1;
  std::string seen;
  const fanfare::abi::Answer answer{
      .host = &seen,
      .output =
          [](void* host, fanfare::abi::Text, fanfare::abi::Text data) {
            static_cast<std::string*>(host)->assign(data.data, data.size);
          },
      .failure = [](void*, fanfare::abi::Text, fanfare::abi::Text, std::uint32_t, std::int64_t) {}};
  const auto handler = +[](const fanfare::Event&, fanfare::Context& context) -> fanfare::Output {
    return std::string(context.trace().traceparent);
  };
  fanfare::detail::handle(handler, event, fanfare::abi::Context{}, answer);
  EXPECT_EQ(seen, "00-ab");
}

TEST(Function, DrawsADifferentSeedEachTime) {
  EXPECT_NE(fanfare::random_seed(), fanfare::random_seed());
}

// ---- invoking others ----

// A host that answers as it is told, and notes what it was asked.
struct Host {
  std::string function, data;
  std::int64_t timeout_ms = -1;
  std::uint32_t flags = 0;
  bool fails = false;

  fanfare::abi::Context context() {
    fanfare::abi::Context context{};
    context.host = this;
    context.invoke = [](void* host, fanfare::abi::Text name, fanfare::abi::Text bytes,
                        std::int64_t wait_ms, const fanfare::abi::Answer* answer) {
      auto& me = *static_cast<Host*>(host);
      me.function.assign(name.data, name.size);
      me.data.assign(bytes.data, bytes.size);
      me.timeout_ms = wait_ms;
      if (me.fails) return answer->failure(answer->host, {"Kind", 4}, {"why", 3}, me.flags, 0);
      answer->output(answer->host, {"text/plain", 10}, {"out", 3});
    };
    return context;
  }
};

TEST(Invoke, GivesTheOutput) {
  Host host;
  const auto abi_context = host.context();
  const fanfare::Context context(abi_context, "1-0.0");
  EXPECT_EQ(context.invoke("other", "data"), "out");
  EXPECT_EQ(host.function, "other");
  EXPECT_EQ(host.data, "data");
  EXPECT_EQ(host.timeout_ms, 0);
  EXPECT_EQ(context.invoke("other", "", 1500ms), "out");
  EXPECT_EQ(host.timeout_ms, 1500);
}

TEST(Invoke, ThrowsWhatWentWrongAndByWhom) {
  Host host;
  host.fails = true;
  const auto abi_context = host.context();
  const fanfare::Context context(abi_context, "1-0.0");
  for (const bool by_function : {true, false}) {
    host.flags = by_function ? fanfare::abi::kByFunction : 0;
    try {
      context.invoke("other");
      FAIL() << "it gave an output";
    } catch (const fanfare::InvokeError& error) {
      EXPECT_EQ(error.by_function(), by_function);
      EXPECT_EQ(error.type(), "Kind");
      EXPECT_STREQ(error.what(), by_function ? "other failed: Kind: why" : "Kind: why");
    }
  }
}

TEST(Invoke, RefusesATimeoutThatIsNone) {
  Host host;
  const auto abi_context = host.context();
  const fanfare::Context context(abi_context, "1-0.0");
  EXPECT_THROW(context.invoke("other", "", 0ms), fanfare::InvokeError);
  EXPECT_EQ(host.timeout_ms, -1) << "nobody is asked";
}

TEST(Invoke, SaysWhereThereIsNobodyToAsk) {
  const fanfare::abi::Context abi_context{};
  const fanfare::Context context(abi_context, "1-0.0");
  EXPECT_THROW(context.invoke("other"), fanfare::InvokeError);
}

}  // namespace
