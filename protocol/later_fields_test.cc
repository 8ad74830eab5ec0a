// A message grows at its end: what an older build leaves out is read as absent.
#include <gtest/gtest.h>

#include "protocol/cursor.h"
#include "protocol/kinds.h"
#include "protocol/messages.h"
#include "protocol/samples.h"

namespace fanfare::protocol {
namespace {

KindInfo kind_of(const Message& message) {
  return std::visit(
      [](const auto& one) {
        const KindInfo& kind = kKind<std::decay_t<decltype(one)>>;
        return kind;
      },
      message);
}

// The first `elements` of a frame's array, version and kind among them.
std::string first_elements(std::string frame, std::uint32_t elements) {
  Cursor cursor{frame};
  cursor.array();
  for (std::uint32_t i = 0; i < elements; ++i) cursor.skip(7);
  frame.resize(frame.size() - cursor.remaining());
  frame[0] = static_cast<char>(0x90 | elements);  // all frames are short arrays
  return frame;
}

TEST(LaterFields, OfEveryMessageMayBeAbsent) {
  bool any = false;
  for (const auto& [name, message] : samples::messages()) {
    const KindInfo kind = kind_of(message);
    for (std::uint32_t absent = 1; absent <= kind.later; ++absent) {
      any = true;
      const std::string frame = first_elements(encode(message), 2 + kind.fields - absent);
      const auto decoded = decode(frame);
      ASSERT_TRUE(decoded) << name << " without " << absent << ": " << decoded.error().message;
      EXPECT_FALSE(*decoded == message) << name << ": the sample should fill its later fields";
      EXPECT_EQ(first_elements(encode(*decoded), 2 + kind.fields - absent), frame) << name;
    }
  }
  EXPECT_TRUE(any);
}

TEST(LaterFields, AreTheOnlyOnesThatMayBeAbsent) {
  for (const auto& [name, message] : samples::messages()) {
    const KindInfo kind = kind_of(message);
    if (kind.fields == kind.later) continue;
    const std::string frame = first_elements(encode(message), 1 + kind.fields - kind.later);
    EXPECT_FALSE(decode(frame)) << name;
  }
}

TEST(LaterFields, AFrameThatAnnouncesMoreThanItHasIsRefused) {
  std::string frame = encode(Heartbeat{.session = 1, .delivered = 0, .rows = {}, .running = {}});
  frame.pop_back();  // the list of what runs
  EXPECT_FALSE(decode(frame));
}

}  // namespace
}  // namespace fanfare::protocol
