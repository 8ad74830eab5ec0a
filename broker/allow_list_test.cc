#include "broker/allow_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fanfare::broker {
namespace {

using testing::HasSubstr;

// Such characters as that of comments are within keys, too.
constexpr const char* kKey = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
constexpr const char* kOther = "b#8@yWs.u(3Qp-pNqN7k+u1M#HD+hy]#g4N2ZN%L";

std::string message(const std::string& text) {
  const auto list = AllowList::parse(text, "allowed_keys");
  return list ? "a list" : list.error().message;
}

TEST(AllowList, KnowsWhoMayDoWhat) {
  const std::string text = std::string("# who may come in\n\n") + kKey + " worker web-3\n\t" +
                           kOther + "  publisher,operator  laptop #Ada's\r\n";
  const auto list = AllowList::parse(text, "allowed_keys");
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->size(), 2u);
  const AllowedPeer* web = list->find(kKey);
  ASSERT_NE(web, nullptr);
  EXPECT_EQ(web->name, "web-3");
  EXPECT_TRUE(web->roles.has(Role::kWorker));
  EXPECT_FALSE(web->roles.has(Role::kPublisher));
  const AllowedPeer* laptop = list->find(kOther);
  ASSERT_NE(laptop, nullptr);
  EXPECT_EQ(to_string(laptop->roles), "publisher, operator");
  EXPECT_EQ(list->find("somebody"), nullptr);
}

TEST(AllowList, AnEmptyOneLetsNobodyIn) {
  const auto list = AllowList::parse("# nobody yet\n#\n", "allowed_keys");
  ASSERT_TRUE(list);
  EXPECT_EQ(list->size(), 0u);
}

TEST(AllowList, SaysWhatIsWrongAndWhere) {
  const std::string key = kKey, other = kOther;
  EXPECT_THAT(message("\n" + key + " worker\n"), HasSubstr("allowed_keys:2: a line is KEY ROLES"));
  EXPECT_THAT(message(key + " worker a b\n"), HasSubstr("a line is KEY ROLES"));
  EXPECT_THAT(message("short worker a\n"), HasSubstr("allowed_keys:1: a key has 40 characters"));
  EXPECT_EQ(message("#a comment here\n"), "a list");
  EXPECT_THAT(message(key + " root a\n"), HasSubstr("'root' is no role"));
  EXPECT_THAT(message(key + " worker,, a\n"), HasSubstr("'' is no role"));
  EXPECT_THAT(message(key + " worker a/b\n"), HasSubstr("'a/b' is no name"));
  EXPECT_THAT(message(key + " worker a\n" + key + " worker b\n"), HasSubstr(":2: this key"));
  EXPECT_THAT(message(key + " worker a\n" + other + " worker a\n"), HasSubstr("'a' comes twice"));
}

TEST(AllowList, AFileThatIsNotThereIsNoList) {
  const auto list = AllowList::read("/no/such/allowed_keys");
  ASSERT_FALSE(list);
  EXPECT_THAT(list.error().message, HasSubstr("No such file"));
}

}  // namespace
}  // namespace fanfare::broker
