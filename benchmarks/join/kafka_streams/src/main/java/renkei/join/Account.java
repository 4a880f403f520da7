package renkei.join;

import com.fasterxml.jackson.annotation.JsonProperty;

/** A record of the accounts tab. */
public record Account(
        @JsonProperty("id") String id,
        @JsonProperty("Name") String name,
        @JsonProperty("Region") String region,
        @JsonProperty("Type") String type,
        @JsonProperty("Rating") String rating,
        @JsonProperty("Industry") String industry,
        @JsonProperty("Country") String country,
        @JsonProperty("Employees") int employees,
        @JsonProperty("Owner") String owner,
        @JsonProperty("Website") String website,
        @JsonProperty("Modified_Time") long modifiedTime) {}
