package renkei.join;

import com.fasterxml.jackson.annotation.JsonProperty;

/** A record of the deals tab; {@code account} is the lookup. */
public record Deal(
        @JsonProperty("id") String id,
        @JsonProperty("Name") String name,
        @JsonProperty("Account") String account,
        @JsonProperty("Currency") String currency,
        @JsonProperty("Owner") String owner,
        @JsonProperty("Close_Date") String closeDate,
        @JsonProperty("Source") String source,
        @JsonProperty("Type") String type,
        @JsonProperty("Campaign") String campaign,
        @JsonProperty("Stage") String stage,
        @JsonProperty("Amount") long amount,
        @JsonProperty("Probability") int probability,
        @JsonProperty("Next_Step") String nextStep,
        @JsonProperty("Modified_Time") long modifiedTime) {}
