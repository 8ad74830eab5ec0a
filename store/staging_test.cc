#include "store/staging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/keys.h"

namespace fanfare::store {
namespace {

Append append_of(std::vector<std::size_t> sizes) {
  Append append{.epoch = 3, .entry = {17, 2}, .streams = {}, .guards = {}};
  append.beside = true;
  for (const std::size_t size : sizes) {
    append.streams.push_back({"f" + std::to_string(append.streams.size()), {}, {}});
    append.streams.back().items.push_back({7, std::string(size, 'x')});
  }
  return append;
}

std::vector<std::string> staged(const Append& append) {
  Arguments arguments;
  std::vector<std::string> keys;
  stage(append, arguments, [&] {
    EXPECT_EQ(arguments.all().size(), 5u);
    EXPECT_EQ(arguments.all()[0], "SET");
    EXPECT_EQ(arguments.all()[3], "PX");
    keys.emplace_back(arguments.all()[1]);
  });
  return keys;
}

TEST(Staging, IsOfStreamsWithManyBytes) {
  const std::size_t head = 5;  // of a packed value
  EXPECT_EQ(staged(append_of({10, kBesideMin, kBesideMin - head, kBesideMin - head - 1})),
            (std::vector<std::string>{staged_key("f1", {}, {17, 2}, 3),
                                      staged_key("f2", {}, {17, 2}, 3)}));
}

TEST(Staging, IsOfStreamsWithManySmallEvents) {
  Append append = append_of({1});
  for (std::uint8_t i = 8; i < 208; ++i) append.streams[0].items.push_back({i, "0123456789abcdef"});
  EXPECT_EQ(staged(append).size(), 1u);
}

TEST(Staging, IsNotOfLayoutOne) {
  Append append = append_of({100'000});
  append.beside = false;
  EXPECT_TRUE(staged(append).empty());
}

TEST(Staging, IsOfNoOtherCall) {
  Arguments arguments;
  stage(Begin{}, arguments, [] { FAIL(); });
}

}  // namespace
}  // namespace fanfare::store
