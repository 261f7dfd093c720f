-- The table that the Redshift to DynamoDB pipeline loads by default: the Amazon Customer Reviews schema.
-- Run it with any Redshift client, or as one Data API statement.
--
-- DISTKEY review_id: unique, so every slice holds about as many rows and UNLOAD writes files of about one size.
-- SORTKEY review_date: what range-restricted loads filter by ("where": "review_date >= …"); it is not DynamoDB's key, so
-- files in this order don't send neighbouring keys to one DynamoDB partition.
-- VARCHAR lengths are bytes, not characters: one character of UTF-8 takes up to four.
CREATE TABLE IF NOT EXISTS public.amazon_reviews_parquet
(
    marketplace       VARCHAR(2),
    customer_id       VARCHAR(16),
    review_id         VARCHAR(16),
    product_id        VARCHAR(16),
    product_parent    VARCHAR(16),
    product_title     VARCHAR(1024),
    star_rating       INTEGER,
    helpful_votes     INTEGER,
    total_votes       INTEGER,
    vine              VARCHAR(1),
    verified_purchase VARCHAR(1),
    review_headline   VARCHAR(1024),
    review_body       VARCHAR(65535),
    review_date       DATE,
    year              INTEGER,
    product_category  VARCHAR(64)
)
DISTSTYLE KEY
DISTKEY (review_id)
SORTKEY (review_date);

-- Filling it from Parquet files in S3 (same column order; the role is the cluster's, not yours):
--
-- COPY public.amazon_reviews_parquet
-- FROM 's3://<bucket>/<prefix>/'
-- IAM_ROLE default
-- FORMAT AS PARQUET;
