// Claims in a real Redis: what append takes, what lookup says.
#include "store/keys.h"
#include "store/test_store.h"

namespace fanfare::store::test {
namespace {

constexpr ClaimKey kFirst{1}, kSecond{2}, kThird{3};

class Claims : public ::testing::Test {
 protected:
  Claims() { store.get<Begun>(Begin{}); }

  static Append claiming(EntryId id, const std::vector<ClaimKey>& keys) {
    Append append = append_of(id, 2);
    for (const ClaimKey& key : keys) append.claims.push_back({key, "by " + to_string(id)});
    append.claim_window_ms = 300'000;
    return append;
  }
  std::vector<std::optional<std::string>> look_up(std::vector<ClaimKey> keys) {
    return store.get<LookedUp>(Lookup{std::move(keys)}).packed;
  }

  TestStore store;
};

TEST_F(Claims, AreMadeWithTheEntryForTheLengthOfTheWindow) {
  store.get<Appended>(claiming(entry(1), {kFirst, kThird}));
  const auto found = look_up({kThird, kSecond, kFirst});
  EXPECT_EQ(found, (std::vector<std::optional<std::string>>{
                       "by " + to_string(entry(1)), std::nullopt, "by " + to_string(entry(1))}));
  const int left_ms = std::stoi(store.command({"PTTL", claim_key(kFirst)}));
  EXPECT_LE(left_ms, 300'000);
  EXPECT_GT(left_ms, 200'000);
}

TEST_F(Claims, OfAnotherEventLeaveEverythingAsItWas) {
  store.get<Appended>(claiming(entry(1), {kFirst}));
  const auto before = store.snapshot();
  const auto answer = store.ask(claiming(entry(2), {kSecond, kFirst}));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::kReject);
  EXPECT_THAT(answer.error().message, ::testing::HasSubstr("CLAIMED"));
  EXPECT_EQ(store.snapshot(), before);
}

TEST_F(Claims, DoNotStandInTheWayOfARepeat) {
  store.get<Appended>(claiming(entry(1), {kFirst}));
  EXPECT_TRUE(store.get<Appended>(claiming(entry(1), {kFirst})).repeated);
}

TEST_F(Claims, AreFreeAgainWhenTheirWindowHasPassed) {
  store.get<Appended>(claiming(entry(1), {kFirst}));
  store.command({"PEXPIREAT", claim_key(kFirst), "1"});
  EXPECT_EQ(look_up({kFirst}), (std::vector<std::optional<std::string>>{std::nullopt}));
  EXPECT_FALSE(store.get<Appended>(claiming(entry(2), {kFirst})).repeated);
}

TEST_F(Claims, CanBeMadeByEventsThatNobodyGets) {
  Append append = claiming(entry(1), {kFirst});
  append.streams.clear();
  store.get<Appended>(append);
  EXPECT_TRUE(look_up({kFirst}).at(0));
}

TEST_F(Claims, ComeTwoForEachOf256Events) {
  Append append = append_of(entry(1), 256);
  for (std::size_t i = 0; i < 512; ++i) {
    append.claims.push_back(
        {{static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}, "c"});
  }
  append.claim_window_ms = 1000;
  EXPECT_FALSE(store.get<Appended>(append).repeated);
  append.entry = entry(2);
  append.claims.erase(append.claims.begin(), append.claims.begin() + 511);
  EXPECT_FALSE(store.ask(append)) << "the last of them was not looked at";
}

TEST_F(Claims, AreRefusedWhereTheyMakeNoSense) {
  EXPECT_EQ(store.refusal(claiming(entry(1), {kFirst, kFirst})), ErrorKind::kReject);
  Append endless = claiming(entry(1), {kFirst});
  endless.claim_window_ms = 0;
  EXPECT_EQ(store.refusal(endless), ErrorKind::kReject);
  EXPECT_EQ(store.refusal(Lookup{}), ErrorKind::kReject);
  EXPECT_EQ(store.refusal(Lookup{std::vector<ClaimKey>(257)}), ErrorKind::kReject);
}

}  // namespace
}  // namespace fanfare::store::test
