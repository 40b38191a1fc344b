// Prompts, and the completion of their arguments and of URIs.
#include "mcp/harness.hpp"

#include <stdexcept>

namespace awm::mcp::testing {
namespace {

using arguments = std::map<std::string, std::string>;

asio::awaitable<prompt_result> review_of(arguments given) {
  if (given["what"] == "broken") throw std::runtime_error("no such branch");
  prompt_result out;
  out.description = "a review";
  out.messages.push_back(prompt_result::message("user", text_block("Review " + json(given).dump())));
  co_return out;
}

struct menu : harness {
  menu() {
    prompt review;
    review.name = "review";
    review.title = "Review";
    review.description = "Looks at it.";
    review.arguments = {{"what", "a branch", true,
                         [](const std::string& typed, const arguments& others) { return branches(typed, others); }},
                        {"depth", "", false, nullptr}};
    review.handler = [](arguments given, request_context&) { return review_of(std::move(given)); };
    offer.add(std::move(review));
    resource_template file;
    file.uri_template = "x://{branch}/file";
    file.name = "file";
    file.read = [](std::string, uri_variables, request_context&) -> asio::awaitable<resource_contents> {
      co_return std::nullopt;
    };
    file.complete["branch"] = branches;
    offer.add(std::move(file));
  }
  static std::vector<std::string> branches(const std::string& typed, const arguments& others) {
    if (typed == "throw") throw std::runtime_error("no completion");
    if (typed == "many") return std::vector<std::string>(150, "many");
    std::vector<std::string> out{typed + "-main"};
    for (const auto& [key, value] : others) out.push_back(key + "=" + value);
    return out;
  }
  json get(json given, const std::string& name = "review") {
    return answer_to(harness::ask("get", "prompts/get", {{"name", name}, {"arguments", std::move(given)}}));
  }
  json complete(const json& ref, const std::string& argument, const std::string& typed, json more = json::object()) {
    more["ref"] = ref;
    more["argument"] = {{"name", argument}, {"value", typed}};
    return answer_to(harness::ask("complete", "completion/complete", std::move(more)));
  }
};

const json review_ref = {{"type", "ref/prompt"}, {"name", "review"}};

TEST(prompts, are_listed_with_their_arguments) {
  menu h;
  h.open();
  EXPECT_EQ(h.answer_to(harness::ask(1, "prompts/list")).at("result").at("prompts"),
            json::parse(R"([{"name":"review","title":"Review","description":"Looks at it.","arguments":[
              {"name":"what","description":"a branch","required":true},{"name":"depth","required":false}]}])"));
}

TEST(prompts, are_made_of_their_arguments) {
  menu h;
  h.open();
  const json result = h.get({{"what", "main"}}).at("result");
  EXPECT_EQ(result.at("description"), "a review");
  EXPECT_EQ(result.at("messages"),
            json::parse(R"([{"role":"user","content":{"type":"text","text":"Review {\"what\":\"main\"}"}}])"));
}

TEST(prompts, with_missing_unknown_or_mistyped_arguments_are_bad_params) {
  menu h;
  h.open();
  EXPECT_NE(h.get(json::object()).at("error").at("message").get<std::string>().find("arguments.what"),
            std::string::npos);
  for (const json& wrong : {json{{"what", "x"}, {"else", "y"}}, json{{"what", 1}}, json{{"what", nullptr}}, json("x"),
                            json::array({"x"})}) {
    EXPECT_EQ(h.get(wrong).at("error").at("code"), -32602) << wrong;
  }
  const json unknown = h.get({{"what", "x"}}, "reviews");
  EXPECT_EQ(unknown.at("error").at("code"), -32602);
  EXPECT_NE(unknown.at("error").at("message").get<std::string>().find("Known: review"), std::string::npos);
}

TEST(prompts, what_a_handler_throws_is_an_internal_error) {
  menu h;
  h.open();
  EXPECT_EQ(h.get({{"what", "broken"}}).at("error").at("code"), -32603);
}

TEST(prompts, added_and_removed_while_clients_are_there_are_told) {
  menu h;
  h.open();
  h.offer.remove_prompt("nobody");
  EXPECT_TRUE(h.received().empty());
  h.offer.remove_prompt("review");
  EXPECT_EQ(h.answer().at("method"), "notifications/prompts/list_changed");
  EXPECT_EQ(h.get({{"what", "x"}}).at("error").at("code"), -32602);
}

TEST(completion, is_the_completers_with_what_is_filled_in_already) {
  menu h;
  h.open();
  const json context = {{"context", {{"arguments", {{"depth", "2"}}}}}};
  EXPECT_EQ(h.complete(review_ref, "what", "ma", context).at("result").at("completion"),
            json::parse(R"({"values":["ma-main","depth=2"],"total":2,"hasMore":false})"));
  EXPECT_EQ(h.complete({{"type", "ref/resource"}, {"uri", "x://{branch}/file"}}, "branch", "b")
                .at("result")
                .at("completion")
                .at("values"),
            json({"b-main"}));
}

TEST(completion, shows_a_hundred_and_says_that_there_are_more) {
  menu h;
  h.open();
  const json shown = h.complete(review_ref, "what", "many").at("result").at("completion");
  EXPECT_EQ(shown.at("values").size(), 100U);
  EXPECT_EQ(shown.at("total"), 150);
  EXPECT_EQ(shown.at("hasMore"), true);
}

TEST(completion, of_an_argument_without_a_completer_is_empty) {
  menu h;
  h.open();
  for (const char* const argument : {"depth", "unknown"}) {
    EXPECT_EQ(h.complete(review_ref, argument, "x").at("result").at("completion").at("values"), json::array());
  }
}

TEST(completion, of_something_unknown_is_bad_params) {
  menu h;
  h.open();
  for (const json& ref : {json{{"type", "ref/prompt"}, {"name", "x"}}, json{{"type", "ref/resource"}, {"uri", "y://"}},
                          json{{"type", "ref/tool"}, {"name", "x"}}, json{{"type", 1}}, json("ref/prompt"), json()}) {
    EXPECT_EQ(h.complete(ref, "what", "x").at("error").at("code"), -32602) << ref;
  }
}

TEST(completion, a_completer_that_throws_is_an_internal_error_and_the_next_request_is_served) {
  menu h;
  h.open();
  EXPECT_EQ(h.complete(review_ref, "what", "throw").at("error").at("code"), -32603);
  EXPECT_TRUE(h.complete(review_ref, "what", "x").contains("result"));
}

TEST(completion, is_a_capability_where_something_completes) {
  menu with;
  harness without;
  for (harness* const each : {static_cast<harness*>(&with), &without}) each->start();
  const json asked = harness::ask(0, "initialize", {{"protocolVersion", "2025-11-25"}});
  EXPECT_TRUE(with.answer_to(asked).at("result").at("capabilities").contains("completions"));
  EXPECT_FALSE(without.answer_to(asked).at("result").at("capabilities").contains("completions"));
}

}  // namespace
}  // namespace awm::mcp::testing
