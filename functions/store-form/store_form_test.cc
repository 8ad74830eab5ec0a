#include <fanfare/function.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "functions/store-form/submission.h"
#include "functions/testing/function_runner.h"

namespace store_form {
namespace {

using fanfare::Failure;
using ::testing::HasSubstr;

const std::string kForm = "application/x-www-form-urlencoded";

Failure failure_of(const std::string& content_type, const std::string& data) {
  try {
    validate(parse_fields(content_type, data));
  } catch (const Failure& failure) {
    return failure;
  }
  return {"none", ""};
}

TEST(StoreForm, NormalisesASubmission) {
  const Submission submission = validate(parse_fields(
      kForm, "name=+Ada+Lovelace&email=Ada%40Example.ORG&message=Hello%0Athere+&city=London"));
  EXPECT_EQ(submission.name, "Ada Lovelace");
  EXPECT_EQ(submission.email, "ada@example.org");
  EXPECT_EQ(submission.message, "Hello\nthere");
  EXPECT_EQ(submission.others, (std::map<std::string, std::string>{{"city", "London"}}));
}

TEST(StoreForm, ReadsJsonToo) {
  const Submission submission = validate(parse_fields(
      "application/json", R"({"name":"Zoë","email":"z@e.fr","message":"hi","age":41})"));
  EXPECT_EQ(submission.name, "Zoë");
  EXPECT_EQ(submission.others.at("age"), "41");
  EXPECT_EQ(validate(parse_fields("", R"({"name":"a","email":"a@b.cd","message":"m"})")).name, "a");
}

TEST(StoreForm, KeepsWhereTheFilesOfAFormAre) {
  const auto fields = parse_fields(
      "application/json",
      R"({"photo":{"name":"cat.png","bucket":"uploads","key":"application/7/cat.png","size":3},)"
      R"("more":[{"bucket":"u","key":"a"},{"bucket":"u","key":"b"}]})");
  EXPECT_EQ(fields.at("photo"), "uploads/application/7/cat.png");
  EXPECT_EQ(fields.at("more"), "u/a, u/b");
  EXPECT_EQ(failure_of("", R"({"more":[{"bucket":"u","key":"a"},1]})").type(), "MalformedForm");
}

TEST(StoreForm, NamesEverythingThatIsWrong) {
  const Failure failure = failure_of(kForm, "name=+&email=nobody");
  EXPECT_EQ(failure.type(), "ValidationError");
  EXPECT_EQ(failure.message(), "name is missing; message is missing; email is not an address");
  EXPECT_FALSE(failure.retryable());
}

TEST(StoreForm, RefusesAddressesThatCannotBe) {
  for (const char* bad : {"a", "@b.cd", "a@", "a@b", "a@b.", "a@.cd", "a@b.c", "a@b..cd",
                          "a@b@c.de", "a b@c.de", "a@-b.cd", "a<b@c.de", "a@b.cd,e@f.gh"}) {
    EXPECT_THAT(
        failure_of("", nlohmann::json{{"name", "n"}, {"message", "m"}, {"email", bad}}.dump())
            .message(),
        HasSubstr("email is not an address"))
        << bad;
  }
  for (const char* good : {"a@b.cd", "first.last+tag@sub.example.org", "ü@example.de"}) {
    EXPECT_EQ(
        failure_of("", nlohmann::json{{"name", "n"}, {"message", "m"}, {"email", good}}.dump())
            .type(),
        "none")
        << good;
  }
}

TEST(StoreForm, RefusesWhatIsNoForm) {
  EXPECT_EQ(failure_of("", "not json").type(), "MalformedForm");
  EXPECT_EQ(failure_of("", "[1,2]").type(), "MalformedForm");
  EXPECT_EQ(failure_of("", R"({"name":{"first":"x"}})").type(), "MalformedForm");
  EXPECT_EQ(failure_of(kForm, "name=%zz").type(), "MalformedForm");
  EXPECT_EQ(failure_of(kForm, "name=%4").type(), "MalformedForm");
  EXPECT_EQ(failure_of(kForm, "name=%ff&email=a@b.cd&message=m").message(),
            "the text is not UTF-8");
}

TEST(StoreForm, RefusesTextsThatAreTooLong) {
  const std::string data = "name=n&email=a@b.cd&message=" + std::string(20'001, 'x');
  EXPECT_EQ(failure_of(kForm, data).message(), "message is longer than 20000");
}

TEST(StoreForm, KeepsRowsInTheOrderOfTimeWithAColumnPerField) {
  EXPECT_EQ(row_key("contact", "1764310200123-4.7"),
            "contact/2025-11-28T06:10:00Z/1764310200123-4.7");
  EXPECT_EQ(row_key(std::string(199, 'f') + "\u00fc", "0-1.0"),
            std::string(199, 'f') + "/1970-01-01T00:00:00Z/0-1.0")
      << "no character is cut in two";
  EXPECT_EQ(to_row({"Ada", "a@b.cd", "Hi", {{"city", "London"}, {"form", "other"}}}, "contact"),
            R"({"form":"contact","name":"Ada","email":"a@b.cd","message":"Hi","city":"London"})");
}

TEST(StoreForm, RunsAsAFunction) {
  auto runner = fanfare::testing::FunctionRunner::start(std::string(FANFARE_BIN_DIR) +
                                                        "/../functions/store-form/store-form.so");
  ASSERT_TRUE(runner) << runner.error().message;
  fanfare::protocol::Event event;
  event.source = "/forms/contact";
  event.type = "form.submitted";
  event.content_type = kForm;
  event.data = "name=Ada&email=ada%40example.org&message=Hello";
  const auto good = (*runner)->run(event);
  EXPECT_EQ(good.content_type, "application/json");
  EXPECT_EQ(good.output,
            R"({"form":"contact","name":"Ada","email":"ada@example.org","message":"Hello"})");
  ASSERT_EQ((*runner)->store().rows().size(), 1u);
  const auto& [key, row] = *(*runner)->store().rows().begin();
  EXPECT_TRUE(key.starts_with("contact/1970-01-01T00:00:00Z/")) << key;
  EXPECT_EQ(row.value, good.output);
  event.data = "name=Ada";
  const auto bad = (*runner)->run(event);
  EXPECT_EQ(bad.outcome, fanfare::protocol::Outcome::kFunctionError);
  EXPECT_EQ(bad.failure.type, "ValidationError");
  EXPECT_FALSE(bad.failure.retryable);
  EXPECT_EQ((*runner)->store().rows().size(), 1u);
}

}  // namespace
}  // namespace store_form
