#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace fanfare {
namespace {

TEST(Utf8, TakesTextOfEveryLength) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("plain"));
  EXPECT_TRUE(is_utf8(std::string("nul\0inside", 10)));
  EXPECT_TRUE(is_utf8("\u00e9\u20ac\U0001F600\U0010FFFF"));
}

TEST(Utf8, RefusesWhatIsNotText) {
  EXPECT_FALSE(is_utf8("\x80"));              // stray continuation
  EXPECT_FALSE(is_utf8("\xe2\x82"));          // cut off
  EXPECT_FALSE(is_utf8("\xe2\x28\xa1"));      // broken off
  EXPECT_FALSE(is_utf8("\xc0\xaf"));          // overlong /
  EXPECT_FALSE(is_utf8("\xe0\x80\xaf"));      // overlong /
  EXPECT_FALSE(is_utf8("\xf0\x80\x80\xaf"));  // overlong /
  EXPECT_FALSE(is_utf8("\xed\xa0\x80"));      // surrogate
  EXPECT_FALSE(is_utf8("\xf4\x90\x80\x80"));  // beyond U+10FFFF
  EXPECT_FALSE(is_utf8("\xff"));
}

TEST(Utf8, FindsABadByteWhereverItStands) {
  for (std::size_t at = 0; at < 20; ++at) {
    std::string text(20, 'a');
    EXPECT_TRUE(is_utf8(text));
    text[at] = '\xff';
    EXPECT_FALSE(is_utf8(text)) << at;
  }
}

TEST(Utf8, MeasuresTheFirstSequence) {
  EXPECT_EQ(utf8_sequence("ab"), 1u);
  EXPECT_EQ(utf8_sequence("\u00e9x"), 2u);
  EXPECT_EQ(utf8_sequence("\u20acx"), 3u);
  EXPECT_EQ(utf8_sequence("\U0001F600x"), 4u);
  EXPECT_EQ(utf8_sequence(""), 0u);
}

}  // namespace
}  // namespace fanfare
