#include "base/zmq_key.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <type_traits>

#include "tests/support/temp_dir.h"

namespace fanfare {
namespace {

using testing::HasSubstr;
using testing::Not;

// Of ZeroMQ's RFC 26.
constexpr const char* kPublic = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
constexpr const char* kSecret = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";

class ZmqKeyTest : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) {
    std::ofstream(dir_.file(name)) << text;
    chmod(dir_.file(name).c_str(), mode);
    return dir_.file(name);
  }
  test::TempDir dir_;
};

TEST_F(ZmqKeyTest, ThePublicKeyFollowsFromTheSecretOne) {
  EXPECT_EQ(SecretKey::parse(kSecret)->public_key().text(), kPublic);
}

TEST_F(ZmqKeyTest, NewPairsDiffer) {
  const auto one = KeyPair::make();
  const auto other = KeyPair::make();
  EXPECT_NE(one->open, other->open);
  EXPECT_EQ(one->secret.public_key(), one->open);
}

TEST_F(ZmqKeyTest, ASecretKeyCannotBeCopiedNorTakenForAPublicOne) {
  EXPECT_FALSE(std::is_copy_constructible_v<SecretKey>);
  EXPECT_FALSE(fmt::is_formattable<SecretKey>::value);
  EXPECT_FALSE((std::is_convertible_v<SecretKey, PublicKey>));
}

TEST_F(ZmqKeyTest, ASecretKeyLeavesNothingWhereItWas) {
  alignas(SecretKey) char place[sizeof(SecretKey)] = {};
  auto* key = new (place) SecretKey(SecretKey::parse(kSecret).value());
  ASSERT_THAT(std::string(place, kKeyChars), kSecret);
  SecretKey moved(std::move(*key));
  EXPECT_THAT(std::string(place, sizeof place), Not(HasSubstr(std::string(kSecret, 8))));
  *key = std::move(moved);
  key->~SecretKey();
  EXPECT_THAT(std::string(place, sizeof place), Not(HasSubstr(std::string(kSecret, 8))));
}

TEST_F(ZmqKeyTest, WhatIsNoKeyIsRefusedWithoutBeingRepeated) {
  const auto message = [](const std::string& text) {
    const auto key = SecretKey::parse(text);
    return key ? "a key" : key.error().message;
  };
  EXPECT_THAT(message("short"), HasSubstr("40 characters, not 5"));
  EXPECT_THAT(message(std::string(39, 'a') + "_"), HasSubstr("not a key in Z85"));
  EXPECT_THAT(message(std::string(40, '#')), HasSubstr("not a key in Z85")) << "over 32 bits";
  EXPECT_THAT(message("halfOfAKey"), Not(HasSubstr("halfOfAKey")));
}

TEST_F(ZmqKeyTest, ReadsASecretKeyFromAFileOfItsOwnersAlone) {
  const auto key = SecretKey::read(write("own.key", std::string("# mine\n\n") + kSecret + "\r\n"));
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_STREQ(key->z85(), kSecret);
  EXPECT_TRUE(SecretKey::read(write("own.key", kSecret, 0400)));
}

TEST_F(ZmqKeyTest, RefusesASecretKeyThatOthersMayReadAndNamesChmod) {
  for (const mode_t mode : {0640u, 0604u, 0660u, 0622u, 0611u}) {
    const std::string file = write("open.key", kSecret, mode);
    const auto key = SecretKey::read(file);
    ASSERT_FALSE(key) << mode;
    EXPECT_THAT(key.error().message, HasSubstr("chmod 600 " + file));
    EXPECT_THAT(key.error().message, Not(HasSubstr(kSecret)));
  }
}

TEST_F(ZmqKeyTest, SaysWhyAFileHasNoKey) {
  const auto message = [](const std::string& file) {
    return SecretKey::read(file).error().message;
  };
  EXPECT_THAT(message(dir_.file("missing")), HasSubstr("No such file"));
  EXPECT_THAT(message(write("empty", "# nothing\n")), HasSubstr("not 0"));
  EXPECT_THAT(message(write("two", std::string(kSecret) + "\n" + kSecret + "\n")),
              HasSubstr("no secret key in"));
  EXPECT_THAT(message(write("large", std::string(5000, 'x'))), HasSubstr("larger"));
  EXPECT_THAT(message(dir_.path()), HasSubstr("not a file"));
}

TEST_F(ZmqKeyTest, APublicKeyIsGivenAsItselfOrInAFile) {
  EXPECT_EQ(public_key_from(kPublic)->text(), kPublic);
  EXPECT_EQ(public_key_from(write("broker.pub", std::string(kPublic) + "\n", 0644))->text(),
            kPublic);
  EXPECT_THAT(public_key_from("/no/such.pub").error().message, HasSubstr("neither"));
}

TEST_F(ZmqKeyTest, WritesASecretKeyForItsOwnerAloneAndNeverOverOne) {
  const auto pair = KeyPair::make();
  const std::string file = dir_.file("new.key");
  ASSERT_TRUE(write_secret_key(file, pair->secret));
  struct stat status{};
  stat(file.c_str(), &status);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  EXPECT_EQ(KeyPair::read(file)->open, pair->open);

  const auto other = KeyPair::make();
  const auto again = write_secret_key(file, other->secret);
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().message, HasSubstr("there already"));
  EXPECT_EQ(KeyPair::read(file)->open, pair->open);
  const auto files = std::filesystem::directory_iterator(dir_.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1) << "nothing else is left";
}

}  // namespace
}  // namespace fanfare
