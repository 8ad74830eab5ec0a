#include "broker/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "protocol/kinds.h"

namespace fanfare::broker {
namespace {

using protocol::kKind;

template <typename M>
std::string who_sends() {
  return to_string(roles_for(kKind<M>.number));
}

TEST(Access, EachMessageHasItsRoles) {
  EXPECT_EQ(who_sends<protocol::Publish>(), "publisher");
  EXPECT_EQ(who_sends<protocol::Invoke>(), "worker, publisher");
  EXPECT_EQ(who_sends<protocol::Await>(), "publisher, operator");
  EXPECT_EQ(who_sends<protocol::Admin>(), "operator");
  for (const std::uint8_t kind :
       {kKind<protocol::Hello>.number, kKind<protocol::Credit>.number, kKind<protocol::Done>.number,
        kKind<protocol::Heartbeat>.number, kKind<protocol::Bye>.number,
        kKind<protocol::Commit>.number, kKind<protocol::ReadRows>.number,
        kKind<protocol::TellUsage>.number, kKind<protocol::FetchPackage>.number}) {
    EXPECT_EQ(to_string(roles_for(kind)), "worker") << int{kind};
  }
}

TEST(Access, WhatOnlyABrokerSendsAndWhatIsUnknownNobodyMay) {
  EXPECT_EQ(who_sends<protocol::Deliver>(), "");
  EXPECT_EQ(who_sends<protocol::Published>(), "");
  EXPECT_EQ(who_sends<protocol::Committed>(), "");
  EXPECT_EQ(who_sends<protocol::PackagePart>(), "");
  EXPECT_TRUE(roles_for(0).empty());
  EXPECT_TRUE(roles_for(255).empty());
}

class WorkerNamesTest : public testing::Test {
 protected:
  using Here = WorkerNames::Here;
  std::map<std::string, Here> here_;
  WorkerNames names_{[this](const std::string& name) {
    const auto at = here_.find(name);
    return at == here_.end() ? Here::kNobody : at->second;
  }};
};

TEST_F(WorkerNamesTest, ANameIsItsKeysAsLongAsItsWorkerIsHere) {
  EXPECT_TRUE(names_.take("web-3", "adas"));
  here_["web-3"] = Here::kRemote;
  EXPECT_FALSE(names_.take("web-3", "eves"));
  EXPECT_TRUE(names_.take("web-3", "adas")) << "it says Hello again after each reconnect";
  EXPECT_TRUE(names_.take("web-4", "eves"));
  here_.erase("web-3");
  EXPECT_TRUE(names_.take("web-3", "eves"));
}

TEST_F(WorkerNamesTest, TheNameOfAWorkerOfThisMachineIsNobodyElses) {
  here_["box-1"] = Here::kLocal;
  EXPECT_FALSE(names_.take("box-1", "eves"));
}

TEST_F(WorkerNamesTest, ManyNamesAreNotKeptForEver) {
  here_["web-3"] = Here::kRemote;
  EXPECT_TRUE(names_.take("web-3", "adas"));
  for (int i = 0; i < 10'000; ++i) EXPECT_TRUE(names_.take("name-" + std::to_string(i), "eves"));
  EXPECT_FALSE(names_.take("web-3", "eves"));
}

}  // namespace
}  // namespace fanfare::broker
