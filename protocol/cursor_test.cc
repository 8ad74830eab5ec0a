#include "protocol/cursor.h"

#include <gtest/gtest.h>

#include <msgpack.hpp>
#include <random>
#include <sstream>

namespace fanfare::protocol {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

std::string packed(const auto& value) {
  std::stringstream out;
  msgpack::pack(out, value);
  return out.str();
}

TEST(Cursor, ReadsIntegersAsTheLibraryWritesThem) {
  std::mt19937_64 random{1};
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t value = random() >> (random() % 64);
    const std::string bytes = packed(value);
    Cursor cursor{bytes};
    EXPECT_EQ(cursor.unsigned_integer(), value);
    EXPECT_TRUE(cursor.ok() && cursor.at_end());

    const auto negative = -static_cast<std::int64_t>(value >> 1);
    const std::string negative_bytes = packed(negative);
    Cursor signed_cursor{negative_bytes};
    EXPECT_EQ(signed_cursor.integer(), negative);
    EXPECT_TRUE(signed_cursor.ok() && signed_cursor.at_end());
  }
}

TEST(Cursor, AcceptsIntegersThatAreWrittenLongerThanNeeded) {
  for (const std::string& five :
       {"\x05"s, "\xCC\x05"s, "\xD0\x05"s, "\xCD\0\x05"s, "\xD1\0\x05"s, "\xCE\0\0\0\x05"s,
        "\xD2\0\0\0\x05"s, "\xCF\0\0\0\0\0\0\0\x05"s, "\xD3\0\0\0\0\0\0\0\x05"s}) {
    EXPECT_EQ(Cursor{five}.unsigned_integer(), 5u);
    EXPECT_EQ(Cursor{five}.integer(), 5);
  }
}

TEST(Cursor, ReadsStringsAndBytesOfEveryLengthClass) {
  for (const std::size_t size : {0u, 1u, 31u, 32u, 255u, 256u, 65535u, 65536u}) {
    const std::string text(size, 'x');
    const std::string bytes = packed(text);
    Cursor cursor{bytes};
    EXPECT_EQ(cursor.str(), text);
    EXPECT_TRUE(cursor.ok() && cursor.at_end());

    const std::string binary = packed(std::vector<char>(size, 'x'));
    Cursor binary_cursor{binary};
    EXPECT_EQ(binary_cursor.bin(), text);
    EXPECT_TRUE(binary_cursor.ok() && binary_cursor.at_end());
  }
}

TEST(Cursor, RefusesTheWrongTypeAndSaysWhere) {
  const std::string bytes = packed(std::tuple{"text", 1});
  Cursor cursor{bytes};
  cursor.array();
  cursor.str();
  cursor.bin();
  EXPECT_FALSE(cursor.ok());
  EXPECT_EQ(cursor.error().message, "expected binary data at byte 6");
  EXPECT_EQ(cursor.str(), "");
  EXPECT_EQ(cursor.error().message, "expected binary data at byte 6") << "the first failure stays";
}

TEST(Cursor, RefusesIntegersOutOfRange) {
  Cursor large{"\xCD\x01\x00"sv};
  large.unsigned_integer(255);
  EXPECT_FALSE(large.ok());
  Cursor negative{"\xFF"sv};
  negative.unsigned_integer();
  EXPECT_FALSE(negative.ok());
  const std::string over = "\xCF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF";
  Cursor beyond{over};
  beyond.integer();
  EXPECT_FALSE(beyond.ok());
}

TEST(Cursor, BelievesNoCountThatTheBytesCannotHold) {
  for (const std::string& bomb : {"\xDD\xFF\xFF\xFF\xFF"s, "\xDC\xFF\xFF"s, "\x9F"s}) {
    Cursor cursor{bomb};
    EXPECT_EQ(cursor.array(), 0u);
    EXPECT_FALSE(cursor.ok());
  }
  Cursor map{"\xDF\xFF\xFF\xFF\xFF"sv};
  EXPECT_EQ(map.map(), 0u);
  EXPECT_FALSE(map.ok());
  Cursor text{"\xDB\xFF\xFF\xFF\xFF"sv};
  EXPECT_EQ(text.str(), "");
  EXPECT_FALSE(text.ok());
}

TEST(Cursor, RefusesMoreElementsThanTheBound) {
  std::string many = "\xDD\x00\x01\x00\x01"s + std::string(Cursor::kElementsMax + 1, '\0');
  Cursor cursor{many};
  EXPECT_EQ(cursor.array(), 0u);
  EXPECT_FALSE(cursor.ok());
}

TEST(Cursor, SkipsNoDeeperThanAllowed) {
  std::string chain;
  for (int i = 0; i < 24000; ++i) chain += "\xDC\x00\x01"s;  // 72 kB, each array holds the next
  Cursor bomb{chain};
  bomb.skip(8);
  EXPECT_FALSE(bomb.ok());

  const std::string nested = "\x91\x91\x91\x01";
  Cursor enough{nested};
  enough.skip(3);
  EXPECT_TRUE(enough.ok() && enough.at_end());
  Cursor too_deep{nested};
  too_deep.skip(2);
  EXPECT_FALSE(too_deep.ok());
}

// Any bytes: skip() and the library must agree on where the first value ends.
TEST(Cursor, SkipsWhateverTheLibraryReads) {
  std::mt19937 random{7};
  int read_by_both = 0;
  for (int i = 0; i < 50000; ++i) {
    std::string bytes;
    for (int n = 1 + static_cast<int>(random() % 24); n > 0; --n) {
      bytes += static_cast<char>(random() % 3 ? random() : 0x90 + random() % 4);
    }
    Cursor cursor{bytes};
    cursor.skip(64);
    std::size_t end = 0;
    bool read = true;
    try {
      msgpack::unpack(bytes.data(), bytes.size(), end, nullptr, nullptr,
                      msgpack::unpack_limit{100, 100, 100, 100, 100, 64});
    } catch (const msgpack::unpack_error&) {
      read = false;
    }
    EXPECT_EQ(cursor.ok(), read) << testing::PrintToString(bytes);
    if (read && cursor.ok()) {
      EXPECT_EQ(cursor.offset(), end);
      ++read_by_both;
    }
  }
  EXPECT_GT(read_by_both, 10000);
}

}  // namespace
}  // namespace fanfare::protocol
