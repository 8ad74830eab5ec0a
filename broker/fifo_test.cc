#include "broker/fifo.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <string>

namespace fanfare::broker {
namespace {

// Long enough that it lies in several blocks, and compared with a deque at every step.
TEST(Fifo, DoesWhatADequeDoesWhateverIsTakenOut) {
  std::mt19937 random{1};
  Fifo<std::string> fifo;
  std::deque<std::string> model;
  int next = 0;
  for (int step = 0; step < 20'000; ++step) {
    const auto what = random() % 100;
    const bool grows = step / 4000 % 2 == 0;
    if (what < (grows ? 70u : 40u)) {
      std::string value = std::to_string(next++);
      model.push_back(value);
      fifo.push_back(std::move(value));
    } else if (what < 96) {
      if (!model.empty()) {
        ASSERT_EQ(fifo.front(), model.front());
        ASSERT_EQ(fifo.pop_front(), model.front());
        model.pop_front();
      }
    } else if (what < 99) {
      const std::string wanted = std::to_string(random() % static_cast<unsigned>(next + 1));
      const auto is_it = [&](const std::string& one) { return one == wanted; };
      const auto at = std::ranges::find(model, wanted);
      const std::string* const found = fifo.find_if(is_it);
      ASSERT_EQ(found != nullptr, at != model.end());
      std::string taken;
      ASSERT_EQ(fifo.take_if(is_it, taken), at != model.end());
      if (at != model.end()) {
        EXPECT_EQ(taken, wanted);
        model.erase(at);
      }
    } else if (step % 7 == 0) {
      const auto unwanted = [](const std::string& one) { return one.back() == '3'; };
      fifo.erase_if(unwanted);
      std::erase_if(model, unwanted);
    }
    ASSERT_EQ(fifo.empty(), model.empty());
  }
  for (; !model.empty(); model.pop_front()) ASSERT_EQ(fifo.pop_front(), model.front());
  EXPECT_TRUE(fifo.empty());
}

}  // namespace
}  // namespace fanfare::broker
