// The trampoline of <fanfare/batch.h>, without a process around it.

#include <fanfare/batch.h>
#include <gtest/gtest.h>

#include <map>
#include <stdexcept>

namespace {

using fanfare::BatchOutput;
using fanfare::Failure;
using Events = std::span<const fanfare::Event>;

struct Answers {
  std::map<std::size_t, std::string> outputs, failures;  // by index
};

template <typename Handler>
Answers run_batch(Handler* handler, const std::vector<std::string>& data) {
  std::vector<fanfare::abi::Event> events(data.size());
  for (std::size_t i = 0; i < data.size(); ++i) {
    events[i].data = {data[i].data(), data[i].size()};
  }
  Answers answers;
  const fanfare::abi::BatchAnswer answer{
      .host = &answers,
      .output =
          [](void* host, std::size_t index, fanfare::abi::Text, fanfare::abi::Text text) {
            static_cast<Answers*>(host)->outputs[index] = {text.data, text.size};
          },
      .failure =
          [](void* host, std::size_t index, fanfare::abi::Text type, fanfare::abi::Text,
             std::uint32_t, std::int64_t) {
            static_cast<Answers*>(host)->failures[index] = {type.data, type.size};
          }};
  fanfare::detail::handle_batch(handler, events.data(), events.size(), {}, answer);
  return answers;
}

BatchOutput one_fails(Events events) {
  BatchOutput output(events.size());
  output.set(0, std::string(events[0].data) + "!");
  output.fail(1, {"Second", "as asked"});
  return output;
}
BatchOutput throws(Events) {
  throw std::runtime_error("all");
}
BatchOutput miscounts(Events) {
  return BatchOutput(1);
}

TEST(BatchFunction, AnswersForEachEvent) {
  const Answers answers = run_batch(&one_fails, {"a", "b", "c"});
  EXPECT_EQ(answers.outputs, (std::map<std::size_t, std::string>{{0, "a!"}, {2, ""}}));
  EXPECT_EQ(answers.failures, (std::map<std::size_t, std::string>{{1, "Second"}}));
}

TEST(BatchFunction, ThrowingFailsAllOfThem) {
  const Answers answers = run_batch(&throws, {"a", "b"});
  EXPECT_TRUE(answers.outputs.empty());
  EXPECT_EQ(answers.failures.size(), 2u);
  EXPECT_EQ(answers.failures.at(1), "std::runtime_error");
}

TEST(BatchFunction, AnAnswerForAnotherNumberOfEventsFailsAllOfThem) {
  EXPECT_EQ(run_batch(&miscounts, {"a", "b"}).failures.at(0), "BatchMismatch");
}

TEST(BatchFunction, OnlyEventsThatAreThereCanBeAnswered) {
  const volatile std::size_t two = 2;  // GCC 12 warns of what the library checks
  BatchOutput output(two);
  EXPECT_THROW(output.set(two, "x"), std::out_of_range);
  EXPECT_THROW(output.fail(two + 3, {"a", "b"}), std::out_of_range);
}

}  // namespace
