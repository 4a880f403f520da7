package renkei.join;

import com.fasterxml.jackson.annotation.JsonProperty;

/** A deal with its account. */
public record Joined(@JsonProperty("deal") Deal deal, @JsonProperty("account") Account account) {

    /** The condition: four comparisons over two records. */
    boolean passes() {
        return deal.stage().equals("Closed Won")
                && deal.amount() >= 10_000
                && account.type().equals("Customer")
                && !account.region().equals("AMER");
    }
}
